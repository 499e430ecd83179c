// Writes the inputs with which the fuzzers begin: fuzz-make-corpus DIRECTORY. One file for each shape that a target
// knows.
#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "base/assert.h"
#include "fuzz/fuzz_device.h"
#include "fuzz/fuzz_machine.h"
#include "fuzz/parser_seeds.h"
#include "fuzz/saved_streams.h"
#include "machine/apic_state.h"
#include "machine/cpu_state.h"
#include "machine/ioapic_state.h"
#include "machine/kvmclock_state.h"
#include "migration/return_path.h"
#include "migration/sections.h"
#include "rdma/messages.h"
#include "rdma/payload.h"
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
        add(Seed{target, name, chosen(choice, text_of(bytes))});
    }
    void add(const Seed& seed) {
        std::filesystem::create_directories(top_ / seed.target);
        std::ofstream file(top_ / seed.target / seed.name, std::ios::binary);
        file << seed.bytes;
        GODWIT_ASSERT(file.flush().good(), "{} cannot be written", seed.name);
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
        return put_rest();
    }
    /// The pages go past the stream: its parts between the rounds.
    std::vector<std::vector<std::byte>> make_direct() {
        std::vector<std::vector<std::byte>> parts;
        put_introduction();
        begin_memory();
        parts.push_back(cut_for_round());
        for (const SectionType type : {SectionType::part, SectionType::end}) {
            end_ram_section();
            sections_.begin(type, format::ram_section_id);
            parts.push_back(cut_for_round());
        }
        end_ram_section();
        parts.push_back(put_rest());
        return parts;
    }

private:
    std::vector<std::byte> cut_for_round() {
        writer_.put_u64(format::ram_flag::direct);
        writer_.flush();
        return channel_.take();
    }
    std::vector<std::byte> put_rest() {
        put_devices();
        if (peer_ == Peer::godwit) {
            put_command(writer_, format::Command::commit, 0);
        }
        writer_.flush();
        return channel_.take();
    }
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

    void begin_memory() {
        sections_.begin_named(SectionType::start, format::ram_section_id, format::ram_section_name, 0,
                              format::ram_version);
        writer_.put_u64((ram_pages + rom_pages) * page_bytes | format::ram_flag::mem_size);
        for (const auto& [id, pages] : {std::pair{"ram", ram_pages}, std::pair{"rom", rom_pages}}) {
            writer_.put_string8(id);
            writer_.put_u64(pages * page_bytes);
        }
    }
    void put_memory() {
        begin_memory();
        end_ram_section();
        sections_.begin(SectionType::part, format::ram_section_id);
        const std::uint32_t first_pages = peer_ == Peer::godwit ? 2 : 1;
        if (first_pages > 1) {
            put_record(0, format::ram_flag::page_run, "ram");
            writer_.put_u32(first_pages);
        } else {
            put_record(0, format::ram_flag::page, "ram");
        }
        writer_.put_bytes(std::vector<std::byte>(first_pages * page_bytes, std::byte{0x5a}));
        for (std::uint64_t page = first_pages; page < ram_pages; ++page) {
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

/// Control messages as they travel.
class MessageMaker {
public:
    MessageMaker& put(const rdma::Message& message) {
        std::array<std::byte, rdma::header_bytes> header{};
        encode(rdma::Header{static_cast<std::uint32_t>(message.payload.size()), message.type, message.repeat}, header);
        bytes_.insert(bytes_.end(), header.begin(), header.end());
        bytes_.insert(bytes_.end(), message.payload.begin(), message.payload.end());
        return *this;
    }
    MessageMaker& put(rdma::MessageType type) { return put(rdma::make_message(type)); }
    MessageMaker& put_stream(std::vector<std::byte> bytes) {
        return put(rdma::Message{rdma::MessageType::stream, 1, std::move(bytes)});
    }
    const std::vector<std::byte>& bytes() const { return bytes_; }

private:
    std::vector<std::byte> bytes_;
};

constexpr std::uint8_t to_destination = 0;
constexpr std::uint8_t to_page_sender = 1;
constexpr std::uint8_t to_hello = 2;
constexpr std::uint8_t to_connection = 3;
constexpr std::uint8_t flag = 16;

/// A whole migration with rounds of pages that go past the stream.
std::vector<std::byte> make_rdma_migration(Peer peer, bool pin_all) {
    using rdma::MessageType;
    const std::vector<std::vector<std::byte>> parts = StreamMaker(peer).make_direct();
    GODWIT_ASSERT(parts.size() == 4, "{} parts of the stream", parts.size());
    const rdma::RamBlocksRequest blocks{
        .pin_all = pin_all,
        .blocks = {{"ram", ByteCount(ram_pages * page_bytes)}, {"rom", ByteCount(rom_pages * page_bytes)}}};
    const std::array ranges{rdma::ChunkRange{0, rdma::ChunkNumber(0), 1}};
    const std::array zeros{rdma::ZeroRange{0, BlockOffset(page_bytes), ByteCount(2 * page_bytes)},
                           rdma::ZeroRange{1, BlockOffset(0), ByteCount(page_bytes)}};
    MessageMaker maker;
    maker.put(MessageType::ready).put_stream(parts[0]);
    maker.put(encode(blocks)).put(encode(rdma::RoundFigures{})).put_stream(parts[1]);
    if (!pin_all) {
        maker.put(encode(MessageType::register_request, ranges));
    }
    maker.put(MessageType::heartbeat).put(rdma::encode(zeros)).put(encode(rdma::RoundFigures{.pages = 5, .writes = 1}));
    maker.put_stream(parts[2]);
    if (!pin_all) {
        maker.put(encode(MessageType::unregister_request, ranges));
    }
    maker.put(encode(rdma::RoundFigures{})).put_stream(parts[3]).put(MessageType::end_of_stream);
    return maker.bytes();
}

/// What a destination answers to a source that asks for the blocks and then for keys.
std::vector<std::byte> make_rdma_answers(bool pin_all, std::uint64_t limit_bytes) {
    using rdma::MessageType;
    const std::vector<std::byte> key = pin_all ? std::vector<std::byte>{std::byte{1}} : std::vector<std::byte>{};
    constexpr std::uint64_t big_bytes = 2 * rdma::chunk_bytes + 4 * page_bytes;
    constexpr std::uint64_t host = 0x100000;
    const rdma::RamBlocksResult blocks{
        .registration_limit = ByteCount(limit_bytes),
        .blocks = {{host, ByteCount(big_bytes), key}, {2 * host, ByteCount(2 * page_bytes), key}}};
    MessageMaker maker;
    maker.put(MessageType::ready).put(encode(blocks));
    for (int answers = 0; answers < 4 && !pin_all; ++answers) {
        const std::vector<rdma::ChunkKey> keys(4, {host, {std::byte{1}}});
        maker.put(rdma::encode(keys)).put(MessageType::unregister_finished);
    }
    return maker.bytes();
}

void make_hello(Corpus& corpus, const std::string& name, std::uint8_t choice, std::uint8_t transport, bool refusal,
                std::string_view rest) {
    std::vector<std::byte> bytes;
    rdma::PayloadWriter writer(bytes);
    writer.put_text("GWRD");
    writer.put(std::uint32_t{1});  // version
    writer.put(std::uint32_t{1});  // flags
    writer.put(std::uint32_t{transport});
    for (int i = 0; i < 24; ++i) {  // the host
        writer.put(std::uint8_t{1});
    }
    writer.put(std::uint8_t{1});  // a device
    writer.put(static_cast<std::uint8_t>(refusal));
    writer.put(std::uint16_t{0});
    writer.put(static_cast<std::uint32_t>(rest.size()));
    writer.put_text(rest);
    corpus.add("rdma", name, choice, bytes);
}

void make_rdma(Corpus& corpus) {
    constexpr std::uint64_t no_limit = ~std::uint64_t{0};
    corpus.add("rdma", "migration", to_destination, make_rdma_migration(Peer::silent, false));
    corpus.add("rdma", "migration_pinned", to_destination, make_rdma_migration(Peer::silent, true));
    corpus.add("rdma", "migration_limited", to_destination | flag, make_rdma_migration(Peer::godwit, false));
    corpus.add("rdma", "answers", to_page_sender, make_rdma_answers(false, no_limit));
    corpus.add("rdma", "answers_limited", to_page_sender, make_rdma_answers(false, rdma::chunk_bytes));
    corpus.add("rdma", "answers_pinned", to_page_sender | flag, make_rdma_answers(true, no_limit));
    corpus.add("rdma", "connection", to_connection, make_rdma_migration(Peer::silent, false));
    corpus.add("rdma", "connection_asks", to_connection | flag, make_rdma_answers(false, no_limit));
    make_hello(corpus, "hello", to_hello | flag, 0, false, "");
    make_hello(corpus, "hello_answer", to_hello, 2, false, "an address");
    make_hello(corpus, "hello_refused", to_hello, 0, true, "no room");
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

void make_probe(Corpus& corpus) {
    using namespace std::string_literals;
    const std::string text = "godwit bench\0\0\0\1P\0\0\0\0\0\0\0\0D\0\0\0\0\0\0\0\x5words"s;
    corpus.add("probe", "measured", 1, std::as_bytes(std::span(text)));
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
    make_probe(corpus);
    make_rdma(corpus);
    for (const auto& [name, bytes] : make_saved_streams()) {
        corpus.add("inspect", name, 0, bytes);
    }
    for (const Seed& seed : make_parser_seeds()) {
        corpus.add(seed);
    }
    return 0;
}
