#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "godwit/error.h"

namespace godwit {

/// Text that is overwritten when it goes: keys lie in it.
class SecretText {
public:
    explicit SecretText(std::string text) : text_(std::move(text)) {}
    ~SecretText();
    SecretText(SecretText&& other) noexcept : text_(std::move(other.text_)) {}
    SecretText(const SecretText&) = delete;
    SecretText& operator=(const SecretText&) = delete;

    const std::string& text() const { return text_; }
    void shorten(std::size_t bytes) { text_.resize(bytes); }

private:
    std::string text_;
};

/// Whether nothing has that name. What cannot be looked at, or points nowhere, is not missing.
bool is_missing(const std::string& path);

/// Errors: `not_found`, `io`.
Status check_readable(const std::string& path);

/// Errors: those of `check_readable`, `invalid_argument` for a file that is too large.
Result<SecretText> read_secret_file(const std::string& path);

/// What is wrong with the permissions of a file that holds a key; empty when nothing is.
std::string loose_permissions(const std::string& path);

}  // namespace godwit
