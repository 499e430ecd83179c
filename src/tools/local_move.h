#pragma once

#include <memory>

#include "godwit/clock.h"
#include "godwit/error.h"
#include "godwit/guest_memory.h"
#include "godwit/log.h"
#include "godwit/units.h"

namespace godwit {

enum class LocalTransport { tcp, unix_socket };

/// Moves memory within this process, over a connection of its own: as a migration, and as plain data. Memory that does
/// not compress goes to memory that is there already. One thread.
class LocalMove {
public:
    /// Takes twice `memory`, which is a multiple of a page. Errors: `memory`.
    static Result<std::unique_ptr<LocalMove>> create(ByteCount memory, Clock& clock, Log& log);

    /// How long a migration takes, from its start until the destination has the machine, which stands still. Errors:
    /// the migration's, and `memory` if the destination does not hold then what the source does.
    Result<Duration> migrate(LocalTransport transport);
    /// The same memory written to a socket and read from it by another thread.
    Result<Duration> copy(LocalTransport transport);

private:
    LocalMove(std::unique_ptr<GuestMemory> own, std::unique_ptr<GuestMemory> source,
              std::unique_ptr<GuestMemory> destination, Clock& clock, Log& log);
    Status check_and_scrub();

    /// Both sides' pages; the others are views of it.
    const std::unique_ptr<GuestMemory> own_;
    const std::unique_ptr<GuestMemory> source_;
    const std::unique_ptr<GuestMemory> destination_;
    Clock& clock_;
    Log& log_;
};

}  // namespace godwit
