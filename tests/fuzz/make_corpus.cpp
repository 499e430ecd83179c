// Writes the inputs with which the fuzzers begin: fuzz-make-corpus DIRECTORY. One file for each shape that a target
// knows.
#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "base/assert.h"
#include "fuzz/fuzz_device.h"
#include "fuzz/fuzz_machine.h"
#include "machine/apic_state.h"
#include "machine/cpu_state.h"
#include "machine/ioapic_state.h"
#include "machine/kvmclock_state.h"
#include "migration/return_path.h"
#include "migration/sections.h"
#include "stream/commands.h"
#include "stream/testing.h"
#include "stream/vmstate_codec.h"

namespace godwit::fuzz {
namespace {

using format::SectionType;

class Corpus {
public:
    explicit Corpus(std::filesystem::path top) : top_(std::move(top)) {}

    void add(const std::string& target, const std::string& name, std::uint8_t choice,
             std::span<const std::byte> bytes) {
        std::filesystem::create_directories(top_ / target);
        std::ofstream file(top_ / target / name, std::ios::binary);
        file.put(static_cast<char>(choice));
        file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        GODWIT_ASSERT(file.flush().good(), "{} cannot be written", name);
    }

private:
    std::filesystem::path top_;
};

enum class Peer { silent_2013, silent, qemu, godwit };

/// A whole small machine as a peer of that kind sends it.
class StreamMaker {
public:
    explicit StreamMaker(Peer peer, int devices = 1)
        : devices_(devices), peer_(peer), modern_(peer != Peer::silent_2013), sections_(writer_, modern_) {}

    std::vector<std::byte> make() {
        put_introduction();
        put_memory();
        put_devices();
        if (peer_ == Peer::godwit) {
            put_command(writer_, format::Command::commit, 0);
        }
        writer_.flush();
        return channel_.take();
    }

private:
    void put_introduction() {
        writer_.put_u32(format::file_magic);
        writer_.put_u32(format::file_version);
        if (modern_) {
            writer_.put_u8(static_cast<std::uint8_t>(SectionType::configuration));
            writer_.put_u32(4);
            writer_.put_text(machine_type);
        }
        if (peer_ == Peer::qemu || peer_ == Peer::godwit) {
            put_command(writer_, format::Command::open_return_path, 0);
            put_ping(writer_, peer_ == Peer::godwit ? format::godwit_ping : 1);
        }
    }

    void put_memory() {
        sections_.begin_named(SectionType::start, format::ram_section_id, format::ram_section_name, 0,
                              format::ram_version);
        writer_.put_u64((ram_pages + rom_pages) * page_bytes | format::ram_flag::mem_size);
        for (const auto& [id, pages] : {std::pair{"ram", ram_pages}, std::pair{"rom", rom_pages}}) {
            writer_.put_string8(id);
            writer_.put_u64(pages * page_bytes);
        }
        end_ram_section();
        sections_.begin(SectionType::part, format::ram_section_id);
        put_record(0, format::ram_flag::page, "ram");
        writer_.put_bytes(std::vector<std::byte>(page_bytes, std::byte{0x5a}));
        for (std::uint64_t page = 1; page < ram_pages; ++page) {
            put_record(page, format::ram_flag::zero | format::ram_flag::same_block, "");
            writer_.put_u8(0);
        }
        end_ram_section();
        sections_.begin(SectionType::end, format::ram_section_id);
        put_record(1, format::ram_flag::zero, "rom");
        writer_.put_u8(0);
        end_ram_section();
    }
    void put_record(std::uint64_t page, std::uint64_t flags, std::string_view block) {
        writer_.put_u64(page * page_bytes | flags);
        if ((flags & format::ram_flag::same_block) == 0) {
            writer_.put_string8(block);
        }
    }
    void end_ram_section() {
        writer_.put_u64(format::ram_flag::eos);
        sections_.end();
    }

    void put_devices() {
        const Registers registers{.byte = 1, .word = 7, .flag = true, .extra = 9};
        std::uint32_t id = format::first_device_section_id;
        for (int i = 0; i < devices_; ++i) {
            sections_.begin_named(SectionType::full, id++, "device", 0, 3);
            save_vmstate(registers_layout(), &registers, writer_);
            sections_.end();
        }
        if (modern_) {
            const GlobalState state = GlobalState::from(RunState::running);
            sections_.begin_named(SectionType::full, id, format::globalstate_section_name, 0,
                                  format::globalstate_version);
            save_vmstate(GlobalState::layout(), &state, writer_);
            sections_.end();
        }
        writer_.put_u8(static_cast<std::uint8_t>(SectionType::eof));
        if (modern_) {
            VmDescription description;
            FuzzDevice device;
            description.add(device);
            const std::string json = description.json();
            writer_.put_u8(static_cast<std::uint8_t>(SectionType::vm_description));
            writer_.put_u32(static_cast<std::uint32_t>(json.size()));
            writer_.put_text(json);
        }
    }

    const int devices_;
    const Peer peer_;
    const bool modern_;
    testing::ManualClock clock_;
    MemoryChannel channel_;
    StreamWriter writer_{channel_, clock_};
    SectionWriter sections_;
};

void make_streams(Corpus& corpus) {
    constexpr std::uint8_t two_way = 1;
    corpus.add("incoming", "device_twice", 0, StreamMaker(Peer::silent, 2).make());
    corpus.add("incoming", "2013", 0, StreamMaker(Peer::silent_2013).make());
    corpus.add("incoming", "silent", 0, StreamMaker(Peer::silent).make());
    corpus.add("incoming", "qemu", two_way, StreamMaker(Peer::qemu).make());
    corpus.add("incoming", "godwit", two_way, StreamMaker(Peer::godwit).make());
}

void make_answers(Corpus& corpus) {
    testing::ManualClock clock;
    for (const bool success : {true, false}) {
        MemoryChannel channel;
        ReturnPathWriter answers(channel, clock, std::chrono::seconds(1));
        answers.manifest(Manifest{"0.1", machine_type, {{"ram", ram_pages * page_bytes, true}}, {{"device", 1}}});
        answers.pong(format::godwit_ping);
        answers.loaded();
        if (success) {
            answers.running();
        } else {
            answers.error(Error{ErrorCode::device_state, "it does not fit", "try another"});
        }
        answers.shut(success);
        corpus.add("return_path", success ? "success" : "failure", 1, channel.take());
    }
}

template <typename S>
void make_state(Corpus& corpus, std::uint8_t choice, const VmState& layout, const S& state) {
    testing::ManualClock clock;
    MemoryChannel channel;
    StreamWriter writer(channel, clock);
    save_vmstate(layout, &state, writer);
    writer.flush();
    corpus.add("vmstate", layout.name(), choice, channel.take());
}

void make_requests(Corpus& corpus) {
    const std::string text =
        "{\"execute\": \"qmp_capabilities\"}\n"
        "{'execute': 'set', 'arguments': {'text': 'a', 'flag': true, 'number': 1, 'list': [{'name': '\\u00fc'}]}, "
        "'id': 1}\n"
        "{\"execute\": \"set\", \"arguments\": {\"text\": \"c\", \"more\": null, \"number\": -1}}\n"
        "[1, 2] {broken \xff {\"execute\": \"set\"}\n";
    corpus.add("qmp", "requests", 10, std::as_bytes(std::span(text)));
}

}  // namespace
}  // namespace godwit::fuzz

int main(int argc, char** argv) {
    using namespace godwit;
    using namespace godwit::fuzz;
    if (argc != 2) {
        std::cerr << "usage: fuzz-make-corpus DIRECTORY\n";
        return 2;
    }
    Corpus corpus(argv[1]);
    make_streams(corpus);
    make_answers(corpus);
    make_state(corpus, 0, registers_layout(), Registers{.byte = 1, .flag = true, .extra = 5});
    make_state(corpus, 1, cpu_state_layout(), CpuState{});
    make_state(corpus, 2, apic_state_layout(), ApicState{});
    make_state(corpus, 3, ioapic_state_layout(), IoapicState{});
    make_state(corpus, 4, kvmclock_state_layout(), KvmClockState{.clock_ns = 1, .reliable = true});
    make_requests(corpus);
    return 0;
}
