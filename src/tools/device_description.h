#pragma once

#include <cstdint>
#include <span>

#include "godwit/error.h"
#include "monitor/json.h"
#include "tools/device_field.h"

namespace godwit {

// The description of a device, or of a structure within one, as a stream has it: JSON from outside. Where it lacks what
// it has to have these throw Json::exception.

/// A number that a description gives, at most `limit`, which also stands for one below zero or with a fraction.
std::uint64_t described_number(const Json& value, std::uint64_t limit);

/// Bytes of a state on the wire: its fields and its subsections. The size of a field that is a structure counts the
/// structure's own subsections already.
std::uint64_t described_bytes(const Json& state);

/// Tells the fields of `payload`, which is all of a device's state. Errors: `stream_corrupt`, naming the field that
/// does not fit.
Status walk_described(const Json& state, std::span<const std::byte> payload, DeviceFieldVisitor& visitor);

}  // namespace godwit
