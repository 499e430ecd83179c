#pragma once

#include "stream/format.h"
#include "stream/writer.h"

namespace godwit {

/// The head of a command; `payload_bytes` must follow.
inline void put_command(StreamWriter& writer, format::Command command, std::uint16_t payload_bytes) {
    writer.put_u8(static_cast<std::uint8_t>(format::SectionType::command));
    writer.put_u16(static_cast<std::uint16_t>(command));
    writer.put_u16(payload_bytes);
}

inline void put_ping(StreamWriter& writer, std::uint32_t value) {
    put_command(writer, format::Command::ping, 4);
    writer.put_u32(value);
}

}  // namespace godwit
