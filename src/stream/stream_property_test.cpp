// Whatever is written is read: values in pieces of any size, device states of any layout.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "stream/layout_testing.h"
#include "stream/testing.h"
#include "stream/vmstate_codec.h"

namespace godwit {
namespace {

using testing::FaultyChannel;
using testing::ManualClock;
using testing::RandomLayout;

std::vector<std::byte> saved(const VmState& layout, const std::vector<std::byte>& data) {
    const ManualClock clock;
    MemoryChannel channel;
    StreamWriter writer(channel, clock);
    save_vmstate(layout, data.data(), writer);
    writer.flush();
    return channel.take();
}

/// Loads into a structure of zeros; what is in it afterwards, or the error.
Result<std::vector<std::byte>> loaded(const RandomLayout& state, std::vector<std::byte> stream, std::uint32_t version,
                                      std::size_t bytes_per_call = 1 << 20) {
    const ManualClock clock;
    FaultyChannel channel(std::move(stream));
    channel.bytes_per_call = bytes_per_call;
    StreamReader reader(channel, clock);
    std::vector<std::byte> data(state.data().size());
    Status status = load_vmstate(state.layout(), data.data(), version, reader);
    if (!status) {
        return fail(status.error());
    }
    RC_ASSERT(!reader.peek_u8());
    return data;
}

RC_GTEST_PROP(VmStateProperty, AStateOfAnyLayoutComesBack, ()) {
    const RandomLayout state;
    const std::vector<std::byte> stream = saved(state.layout(), state.data());
    const auto step = *rc::gen::inRange<std::size_t>(1, 100);
    const auto back = loaded(state, stream, state.layout().version(), step);
    RC_ASSERT(back.has_value());
    RC_ASSERT(*back == state.data());
    RC_ASSERT(saved(state.layout(), *back) == stream);
    RC_ASSERT(stream.size() >= vmstate_wire_bytes(state.layout()));
}

RC_GTEST_PROP(VmStateProperty, AStateThatIsCutShortIsRefused, ()) {
    const RandomLayout state;
    std::vector<std::byte> stream = saved(state.layout(), state.data());
    // A whole subsection may be missing at the end: nobody can tell. Anything within the fields can.
    stream.resize(*rc::gen::inRange<std::size_t>(0, vmstate_wire_bytes(state.layout())));
    const auto back = loaded(state, stream, state.layout().version());
    RC_ASSERT(!back.has_value());
    RC_ASSERT(back.error().code == ErrorCode::stream_truncated);
}

RC_GTEST_PROP(VmStateProperty, AnotherVersionIsRefused, (std::uint32_t version)) {
    const RandomLayout state;
    RC_PRE(version != state.layout().version());
    const auto back = loaded(state, saved(state.layout(), state.data()), version);
    RC_ASSERT(!back.has_value());
    RC_ASSERT(back.error().code == ErrorCode::section_version);
}

/// One value of a stream, or bytes that are too many for the writer's buffer and go by reference.
struct Piece {
    enum class Kind { u8, u16, u32, u64, text, reference };
    Kind kind = Kind::u8;
    std::uint64_t value = 0;
    std::vector<std::byte> bytes;
};

Piece any_piece() {
    using enum Piece::Kind;
    Piece piece{*rc::gen::element(u8, u16, u32, u64, text, reference), *rc::gen::arbitrary<std::uint64_t>(), {}};
    const std::size_t most = piece.kind == text ? 256 : 9000;
    const auto seed = *rc::gen::arbitrary<std::uint8_t>();
    piece.bytes.resize(*rc::gen::inRange<std::size_t>(0, most));
    for (std::size_t i = 0; i < piece.bytes.size(); ++i) {
        piece.bytes[i] = static_cast<std::byte>(i * 7 + seed);
    }
    return piece;
}

std::string_view text_of(const Piece& piece) {
    return {reinterpret_cast<const char*>(piece.bytes.data()), piece.bytes.size()};
}

void put(const Piece& piece, StreamWriter& writer) {
    switch (piece.kind) {
        case Piece::Kind::u8:
            return writer.put_u8(static_cast<std::uint8_t>(piece.value));
        case Piece::Kind::u16:
            return writer.put_u16(static_cast<std::uint16_t>(piece.value));
        case Piece::Kind::u32:
            return writer.put_u32(static_cast<std::uint32_t>(piece.value));
        case Piece::Kind::u64:
            return writer.put_u64(piece.value);
        case Piece::Kind::text:
            return writer.put_string8(text_of(piece));
        case Piece::Kind::reference:
            return writer.put_reference(piece.bytes);
    }
}

void get_and_check(const Piece& piece, StreamReader& reader) {
    switch (piece.kind) {
        case Piece::Kind::u8:
            RC_ASSERT(reader.get_u8() == static_cast<std::uint8_t>(piece.value));
            return;
        case Piece::Kind::u16:
            RC_ASSERT(reader.get_u16() == static_cast<std::uint16_t>(piece.value));
            return;
        case Piece::Kind::u32:
            RC_ASSERT(reader.get_u32() == static_cast<std::uint32_t>(piece.value));
            return;
        case Piece::Kind::u64:
            RC_ASSERT(reader.get_u64() == piece.value);
            return;
        case Piece::Kind::text:
            RC_ASSERT(reader.get_string8() == text_of(piece));
            return;
        case Piece::Kind::reference: {
            std::vector<std::byte> bytes(piece.bytes.size());
            reader.get_bytes(bytes);
            RC_ASSERT(bytes == piece.bytes);
            return;
        }
    }
}

RC_GTEST_PROP(StreamProperty, ValuesComeBackInOrderHoweverTheyTravel, ()) {
    std::vector<Piece> pieces(*rc::gen::inRange<std::size_t>(0, 60));
    std::generate(pieces.begin(), pieces.end(), any_piece);
    const ManualClock clock;
    FaultyChannel channel;
    channel.bytes_per_call = *rc::gen::inRange<std::size_t>(1, 5000);
    StreamWriter writer(channel, clock);
    for (const Piece& piece : pieces) {
        put(piece, writer);
        if (*rc::gen::inRange(0, 8) == 0) {
            writer.flush();
        }
    }
    writer.flush();
    RC_ASSERT(writer.ok());
    RC_ASSERT(writer.bytes_written() == channel.bytes().size());

    channel.bytes_per_call = *rc::gen::inRange<std::size_t>(1, 5000);
    StreamReader reader(channel, clock);
    for (const Piece& piece : pieces) {
        get_and_check(piece, reader);
    }
    RC_ASSERT(reader.ok());
    RC_ASSERT(reader.position() == writer.bytes_written());
    RC_ASSERT(!reader.peek_u8());
}

}  // namespace
}  // namespace godwit
