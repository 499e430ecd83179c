#pragma once

namespace godwit {

/// Which way the stream flows, seen from here.
enum class Direction { outgoing, incoming };

}  // namespace godwit
