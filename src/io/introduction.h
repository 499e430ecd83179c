#pragma once

#include <memory>
#include <string>

#include "godwit/channel.h"
#include "io/file_descriptor.h"

namespace godwit {

/// How far a connection has come before it turned out to be a migration or none.
enum class IntroductionProgress {
    silent,    ///< nothing has come
    begun,     ///< something has come, and it was not enough for an answer
    answered,  ///< the peer has the first answer
};

/// Finds out whether a connection is a migration where the peer has to be answered before that shows. One for each
/// connection, on the thread of its opener.
class Introduction {
public:
    virtual ~Introduction() = default;
    /// Takes and says what is possible without waiting: true when it is a migration, false when more has to come.
    /// Errors: why it is none.
    virtual Result<bool> go_on(int socket) = 0;
    virtual IntroductionProgress progress() const = 0;
    /// Afterwards: the channel of the migration. Errors: as for `SocketChannel::create`.
    virtual Result<std::unique_ptr<Channel>> make_channel(FileDescriptor socket, const std::string& name,
                                                          const Clock& clock) = 0;
};

}  // namespace godwit
