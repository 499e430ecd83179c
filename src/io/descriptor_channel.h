#pragma once

#include <memory>
#include <string>

#include "godwit/channel.h"
#include "io/direction.h"
#include "io/file_descriptor.h"

namespace godwit {

/// Makes a channel over an open descriptor of any kind: a connected stream socket (which can answer), pipe, FIFO or
/// character device, regular file or block device. Errors: `unsupported` for another kind, or when it is not open for
/// this direction, `io`.
Result<std::unique_ptr<Channel>> make_descriptor_channel(FileDescriptor fd, Direction direction,
                                                         std::string description, const Clock& clock);

/// Takes over a descriptor that this process inherited under its number and makes it close-on-exec. Of 0, 1 and 2 it
/// takes a copy: they must never become something else. Errors: `not_found` when none is open under the number,
/// `invalid_argument` when it is one of the program's own, which are close-on-exec from birth.
Result<FileDescriptor> adopt_inherited_descriptor(int number);

}  // namespace godwit
