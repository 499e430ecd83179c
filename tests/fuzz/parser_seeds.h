#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/saved_streams.h"
#include "io/allocation_bitmap_format.h"
#include "machine/test_kernel.h"

namespace godwit::fuzz {

/// An input as a target takes it, with what its first bytes choose.
struct Seed {
    std::string target;
    std::string name;
    std::string bytes;
};

inline std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::string chosen(int choice, std::string_view rest) {
    return std::string(1, static_cast<char>(choice)) + std::string(rest);
}

/// What a server of NBD says, in network byte order.
class NbdServerWords {
public:
    template <typename Integer>
    NbdServerWords& put(Integer value) {
        for (std::size_t i = sizeof(value); i-- > 0;) {
            text_ += static_cast<char>((static_cast<std::uint64_t>(value) >> (8 * i)) & 0xff);
        }
        return *this;
    }
    NbdServerWords& put_text(std::string_view text) {
        text_ += text;
        return *this;
    }
    NbdServerWords& option_reply(std::uint32_t option, std::uint32_t type, std::string_view payload = "") {
        put(std::uint64_t{0x3e889045565a9}).put(option).put(type).put(static_cast<std::uint32_t>(payload.size()));
        return put_text(payload);
    }
    NbdServerWords& chunk(bool last, std::uint16_t type, std::uint64_t cookie, std::string_view payload = "") {
        put(std::uint32_t{0x668e33ef}).put(static_cast<std::uint16_t>(last ? 1 : 0)).put(type).put(cookie);
        return put(static_cast<std::uint32_t>(payload.size())).put_text(payload);
    }
    const std::string& text() const { return text_; }

private:
    std::string text_;
};

/// The greeting and what was agreed on: a disk of that size.
inline NbdServerWords nbd_negotiation(std::uint64_t bytes, bool read_only) {
    constexpr std::uint32_t ack = 1;
    constexpr std::uint16_t can_flush_trim_zero = 1 | 1 << 2 | 1 << 5 | 1 << 6;
    NbdServerWords words;
    words.put_text("NBDMAGICIHAVEOPT").put(std::uint16_t{3});
    words.option_reply(8, ack);
    words.option_reply(10, 4, NbdServerWords().put(std::uint32_t{1}).put_text("base:allocation").text());
    words.option_reply(10, 4, NbdServerWords().put(std::uint32_t{2}).put_text("qemu:allocation-depth").text());
    words.option_reply(10, ack);
    const auto flags = static_cast<std::uint16_t>(can_flush_trim_zero | (read_only ? 2 : 0));
    words.option_reply(7, 3, NbdServerWords().put(std::uint16_t{0}).put(bytes).put(flags).text());
    words.option_reply(7, 3,
                       NbdServerWords()
                           .put(std::uint16_t{3})
                           .put(std::uint32_t{1})
                           .put(std::uint32_t{4096})
                           .put(std::uint32_t{1} << 25)
                           .text());
    words.option_reply(7, ack);
    return words;
}

/// Answers to all that the target asks, of a disk of eight sectors.
inline std::string nbd_session(bool read_only) {
    constexpr std::uint32_t disk_bytes = 4096;
    constexpr std::uint32_t part_bytes = 1024;
    NbdServerWords words = nbd_negotiation(disk_bytes, read_only);
    const auto status = [&](std::uint64_t cookie) {
        words.chunk(false, 5, cookie,
                    NbdServerWords()
                        .put(std::uint32_t{1})
                        .put(std::uint32_t{1024})
                        .put(std::uint32_t{3})
                        .put(std::uint32_t{disk_bytes - 1024})
                        .put(std::uint32_t{0})
                        .text());
        words.chunk(true, 5, cookie,
                    NbdServerWords().put(std::uint32_t{2}).put(disk_bytes).put(std::uint32_t{1}).text());
    };
    status(1);
    words.chunk(
        true, 1, 2,
        NbdServerWords().put(std::uint64_t{disk_bytes - part_bytes}).put_text(std::string(part_bytes, 'x')).text());
    for (std::uint64_t cookie = 3; cookie < 7; ++cookie) {  // write, zero, trim, flush
        words.chunk(true, 0, cookie);
    }
    status(7);
    return words.text();
}

inline void add_text_seeds(std::vector<Seed>& seeds) {
    int number = 0;
    for (const char* uri : {"tcp:localhost:4444", "tcp:[::1]:0", "tcp::4444", "rdma:a:1",
                            "rdma:[fe80::1%eth0]:1,transport=verbs", "x-rdma:a:1,transport=auto", "unix:/tmp/s", "fd:7",
                            "fd:name", "exec:cat > /tmp/f", "file:/tmp/f", "file:f,offset=1"}) {
        seeds.push_back({"address", "uri" + std::to_string(number++), uri});
    }
    const std::vector<std::pair<int, const char*>> options{
        {0, "id=vda,file=/a,,b,base=c,readonly=off"},
        {0, "id=vda,nbd=nbd://h:1/x,readonly,test-fault=read:1:EIO+flush:0:delay=20+write-zeroes:2:28"},
        {1, "512M"},
        {1, "64"},
        {2, "1.5G"},
        {2, "4096"},
        {3, "0.3"},
        {3, "off"},
        {4, "unix:s"},
        {4, "file:/a:b"},
        {5, "unix:/tmp/q,server=on,wait=off"},
        {5, "stdio"},
        {6, "microvm"},
        {6, "qemu64"},
        {6, "commit_written"},
        {7, "migrate -d \"tcp:a b\\n:1\" \t x"},
        {8, "xbzrle=on\nmax-bandwidth=1G\nflag=false\ntls-creds=a=b\nratio=2"}};
    for (const auto& [choice, text] : options) {
        seeds.push_back({"options", "option" + std::to_string(number++), chosen(choice, text)});
    }
}

inline void add_qmp_seeds(std::vector<Seed>& seeds) {
    const std::string ready = R"({"return":{}})"
                              "\r\n";
    const std::string godwit = R"({"QMP":{"version":{"qemu":{"major":7,"minor":2,"micro":0},"package":"godwit 0.1.0"},)"
                               R"("capabilities":["oob"]}})"
                               "\r\n" +
                               ready;
    const std::string qemu = R"({"QMP":{"version":{"qemu":{"major":7,"minor":2,"micro":22},"package":"Debian"},)"
                             R"("capabilities":[]}})"
                             "\r\n" +
                             ready;
    const std::string active =
        R"({"event":"MIGRATION","data":{}} {"return":{"status":"active","total-time":12,"expected-downtime":300,)"
        R"("ram":{"transferred":4096,"remaining":8192,"total":65536,"mbps":1.5,"page-size":4096,"normal":1,)"
        R"("duplicate":2,"pages-per-second":5,"dirty-pages-rate":7,"dirty-sync-count":2},"disk":{"transferred":1,)"
        R"("remaining":2,"total":3},"cpu-throttle-percentage":20,"convergence":{"verdict":"diverges","advice":"wait"}}})"
        "\r\n";
    const std::string done =
        R"({"return":{"status":"completed","x-godwit-incoming":true,"x-godwit-downtime-ns":1234567,"total-time":5,)"
        R"("x-godwit-passes":3,"ram":{"transferred":4096,"x-godwit-bytes-per-second":100}}})"
        "\r\n";
    const std::string failed =
        R"({"return":{"status":"failed","error-desc":"a\u001b","x-godwit-error-code":"io","x-godwit-error-hint":"b"}})"
        "\r\n";
    const std::string settings =
        R"({"return":[{"capability":"xbzrle","state":false}]} {"return":{"max-bandwidth":1,"tls-creds":"","flag":true}})"
        R"({"return":{}}{"return":{}})";
    seeds.push_back({"qmp_answers", "godwit", godwit + active + done + failed + ready + settings});
    seeds.push_back({"qmp_answers", "qemu", qemu + active + active + active + active + settings});
    seeds.push_back({"qmp_answers", "refused", R"({"error":{"class":"GenericError","desc":"one client at a time"}})"});
    // What a terminal would take for orders, and numbers that are none.
    seeds.push_back(
        {"qmp_answers", "controls_in_name", R"({"QMP":{"version":{"package":"godwit\u001b[2J"}}})" + ready});
    seeds.push_back({"qmp_answers", "controls_in_refusal", R"({"error":{"desc":"go\u001b[2Jne"}})"});
    seeds.push_back({"qmp_answers", "controls_in_answer", qemu + "{\"id\":\"\x7f\"}"});
    seeds.push_back({"qmp_answers", "odd_version", R"({"QMP":{"version":{"qemu":{"major":1e300}}}})" + ready + active});
    seeds.push_back({"qmp_answers", "huge_numbers",
                     qemu + R"({"return":{"status":"active","ram":{"total":1e300,"remaining":1e300,"page-size":1e200,)"
                            R"("dirty-pages-rate":1e200,"mbps":-1e308}}})"});
    seeds.push_back({"qmp_answers", "error",
                     qemu + R"|({"error":{"class":"GenericError","desc":"no (because)","x-godwit-hint":"because"}})|"});
}

inline void add_overlay_seeds(std::vector<Seed>& seeds) {
    const std::string maps("\x05\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\1", 17);
    seeds.push_back({"overlay", "both_maps", chosen(2 | 4 | 2 << 3, maps)});
    seeds.push_back({"overlay", "earlier_boot", chosen(2 | 3 << 3, maps)});
    seeds.push_back({"overlay", "read_only", chosen(1 | 2 | 4 | 3 << 3, maps)});
    seeds.push_back({"overlay", "past_the_end", chosen(2 | 1 << 3, maps)});
    seeds.push_back({"overlay", "too_short", chosen(2 | 32 | 2 << 3, maps + "\7")});
    bitmap_format::Header header;
    header.disk_bytes = 3 * AllocationBitmap::cluster_bytes + 512;
    seeds.push_back({"overlay", "header", chosen(2 << 3, text_of(std::as_bytes(std::span(&header, 1))) + maps)});
}

/// One for each shape that the parsers know which do not read streams.
inline std::vector<Seed> make_parser_seeds() {
    std::vector<Seed> seeds;
    add_text_seeds(seeds);
    add_qmp_seeds(seeds);
    add_overlay_seeds(seeds);
    const auto code = TestKernel::bytes({0xf4, 0xeb, 0xfd});
    seeds.push_back({"kernel", "elf32", chosen(0, text_of(TestKernel::make32(code, 5000)))});
    seeds.push_back({"kernel", "elf64", chosen(1, text_of(TestKernel::make64(code, 100, 0x10'1234)))});
    seeds.push_back({"kernel", "low", chosen(0, text_of(TestKernel::make32(code, 0, 0x1000)))});
    seeds.push_back({"kernel", "on_firmware", chosen(0, text_of(TestKernel::make32(code, 0, 0xffff'0000)))});
    seeds.push_back({"kernel", "on_start_information", chosen(0, text_of(TestKernel::make32(code, 0, 0x6000)))});
    seeds.push_back({"nbd", "session", chosen(0, nbd_session(false))});
    seeds.push_back({"nbd", "read_only", chosen(1, nbd_session(true))});
    seeds.push_back({"nbd", "odd_size", chosen(1, nbd_negotiation(513, false).text())});
    const auto machines = make_saved_streams();
    for (const auto& [name, bytes] : machines) {
        seeds.push_back({"compare", name + "_same", chosen(0, chosen(128, text_of(bytes) + text_of(bytes)))});
    }
    return seeds;
}

}  // namespace godwit::fuzz
