#pragma once

#include "godwit/channel.h"

namespace godwit {

/// Writes everything, in as many calls as it takes. Errors: those of the channel.
inline Status write_all(Channel& channel, ConstBuffer bytes, Instant deadline) {
    while (!bytes.empty()) {
        const auto written = channel.write_some({&bytes, 1}, deadline);
        if (!written) {
            return fail(written.error());
        }
        bytes = bytes.subspan(*written);
    }
    return {};
}

}  // namespace godwit
