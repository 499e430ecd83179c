#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <utility>
#include <vector>

#include "godwit/units.h"
#include "stream/format.h"
#include "stream/testing.h"
#include "stream/writer.h"

namespace godwit::testing {

/// Makes saved streams of small machines, piece by piece.
class SavedStreamMaker {
public:
    explicit SavedStreamMaker(std::string_view machine = "none") {
        writer_.put_u32(format::file_magic);
        writer_.put_u32(format::file_version);
        writer_.put_u8(7);
        writer_.put_u32(static_cast<std::uint32_t>(machine.size()));
        writer_.put_text(machine);
        writer_.flush();
    }

    SavedStreamMaker& blocks(const std::vector<std::pair<std::string, std::uint64_t>>& pages) {
        std::uint64_t total = 0;
        for (const auto& [name, count] : pages) {
            total += count * page_bytes;
        }
        start("ram", ram_id, 4);
        writer_.put_u64(total | format::ram_flag::mem_size);
        for (const auto& [name, count] : pages) {
            writer_.put_string8(name);
            writer_.put_u64(count * page_bytes);
        }
        return end_ram();
    }
    SavedStreamMaker& begin_ram() { return piece(3, ram_id); }
    SavedStreamMaker& page(std::string_view block, std::uint64_t number, std::uint8_t fill) {
        writer_.put_u64(number * page_bytes | format::ram_flag::page);
        writer_.put_string8(block);
        const std::vector<std::byte> contents(page_bytes, std::byte{fill});
        writer_.put_bytes(contents);
        writer_.flush();
        return *this;
    }
    SavedStreamMaker& zero(std::string_view block, std::uint64_t number) {
        writer_.put_u64(number * page_bytes | format::ram_flag::zero);
        writer_.put_string8(block);
        writer_.put_u8(0);
        return *this;
    }
    /// Makes `value` of the page's byte 1.
    SavedStreamMaker& delta(std::string_view block, std::uint64_t number, std::uint8_t value) {
        writer_.put_u64(number * page_bytes | format::ram_flag::xbzrle);
        writer_.put_string8(block);
        writer_.put_u8(1);
        writer_.put_u16(3);
        for (const std::uint8_t byte : {std::uint8_t{1}, std::uint8_t{1}, value}) {
            writer_.put_u8(byte);
        }
        return *this;
    }
    SavedStreamMaker& end_ram() {
        writer_.put_u64(format::ram_flag::eos);
        return footer(ram_id);
    }
    SavedStreamMaker& start_disks() {
        start("block", disk_id, 1);
        return end_disks();
    }
    SavedStreamMaker& begin_disks() { return piece(3, disk_id); }
    SavedStreamMaker& chunk(std::string_view disk, std::uint64_t number, std::uint8_t fill) {
        constexpr std::uint64_t chunk_bytes = 1 << 20;
        writer_.put_u64(number * chunk_bytes | format::disk_flag::chunk | (fill == 0 ? format::disk_flag::zero : 0));
        writer_.put_string8(disk);
        if (fill != 0) {
            const std::vector<std::byte> contents(chunk_bytes, std::byte{fill});
            writer_.put_bytes(contents);
            writer_.flush();
        }
        return *this;
    }
    SavedStreamMaker& end_disks() {
        writer_.put_u64(format::disk_flag::eos);
        return footer(disk_id);
    }
    /// `state` is the section's contents, `described` the members "fields" and "subsections" of its description.
    SavedStreamMaker& device(std::string_view name, std::uint32_t instance, const std::vector<std::uint8_t>& state,
                             const std::string& described, std::uint32_t version = 1) {
        const std::uint32_t id = next_id_++;
        writer_.put_u8(4);
        writer_.put_u32(id);
        writer_.put_string8(name);
        writer_.put_u32(instance);
        writer_.put_u32(version);
        for (const std::uint8_t byte : state) {
            writer_.put_u8(byte);
        }
        devices_.push_back(
            fmt::format(R"({{"name":"{}","instance_id":{},"version":{},{}}})", name, instance, version, described));
        return footer(id);
    }
    SavedStreamMaker& command(std::uint16_t number) {
        writer_.put_u8(8);
        writer_.put_u16(number);
        writer_.put_u16(0);
        return *this;
    }
    SavedStreamMaker& end(bool with_description = true) {
        writer_.put_u8(0);
        if (with_description) {
            const std::string text = fmt::format(R"({{"page_size":4096,"devices":[{}]}})", fmt::join(devices_, ","));
            writer_.put_u8(6);
            writer_.put_u32(static_cast<std::uint32_t>(text.size()));
            writer_.put_text(text);
            writer_.flush();
        }
        return *this;
    }
    std::vector<std::byte> bytes() {
        writer_.flush();
        return channel_.bytes();
    }

private:
    static constexpr std::uint32_t disk_id = 1;
    static constexpr std::uint32_t ram_id = 2;

    void start(std::string_view name, std::uint32_t id, std::uint32_t version) {
        writer_.put_u8(1);
        writer_.put_u32(id);
        writer_.put_string8(name);
        writer_.put_u32(0);
        writer_.put_u32(version);
    }
    SavedStreamMaker& piece(std::uint8_t type, std::uint32_t id) {
        writer_.put_u8(type);
        writer_.put_u32(id);
        return *this;
    }
    SavedStreamMaker& footer(std::uint32_t id) {
        writer_.put_u8(0x7e);
        writer_.put_u32(id);
        return *this;
    }

    ManualClock clock_;
    MemoryChannel channel_;
    StreamWriter writer_{channel_, clock_};
    std::uint32_t next_id_ = 4;
    std::vector<std::string> devices_;
};

}  // namespace godwit::testing
