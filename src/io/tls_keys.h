#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/error.h"

namespace godwit {

/// The keys of a file keys.psk: lines USER:KEY, the key in hexadecimal digits; empty lines and those that begin with
/// '#' say nothing. Any thread; nothing changes after `parse`. The keys are overwritten when it goes.
class TlsKeys {
public:
    using Key = std::vector<unsigned char>;

    /// Of several keys of a user the first one counts. Errors: `invalid_argument`, with the number of the line and
    /// nothing of what stands there.
    static Result<TlsKeys> parse(std::string_view text);
    ~TlsKeys();
    TlsKeys(TlsKeys&&) = default;
    TlsKeys(const TlsKeys&) = delete;
    TlsKeys& operator=(const TlsKeys&) = delete;

    /// Null where `user` has none.
    const Key* find(std::string_view user) const;

private:
    TlsKeys() = default;
    Status take_line(std::string_view line);

    std::map<std::string, Key, std::less<>> keys_;
};

}  // namespace godwit
