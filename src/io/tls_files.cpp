#include "io/tls_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "io/file_descriptor.h"
#include "io/system_error.h"

namespace godwit {

namespace {

constexpr std::size_t max_file_bytes = 1 << 20;

}  // namespace

SecretText::~SecretText() {
    ::explicit_bzero(text_.data(), text_.capacity());
}

bool is_missing(const std::string& path) {
    struct stat found {};
    return ::lstat(path.c_str(), &found) != 0 && errno == ENOENT;
}

Status check_readable(const std::string& path) {
    if (::access(path.c_str(), R_OK) == 0) {
        return {};
    }
    const int error = errno;
    return fail_errno(error == ENOENT ? ErrorCode::not_found : ErrorCode::io,
                      fmt::format("Unable to access credentials {}", path), error,
                      "the directory of TLS credentials must hold this file");
}

Result<SecretText> read_secret_file(const std::string& path) {
    if (Status readable = check_readable(path); !readable) {
        return fail(readable.error());
    }
    // Not by a stream, whose buffer would keep a copy.
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    std::string text(max_file_bytes + 1, '\0');
    std::size_t filled = 0;
    while (filled < text.size()) {
        const ssize_t got = ::read(file.get(), text.data() + filled, text.size() - filled);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail_errno(ErrorCode::io, fmt::format("cannot read {}", path), errno);
        }
        if (got == 0) {
            break;
        }
        filled += static_cast<std::size_t>(got);
    }
    SecretText secret(std::move(text));
    if (filled > max_file_bytes) {
        return fail(ErrorCode::invalid_argument, fmt::format("{} is larger than {} bytes", path, max_file_bytes));
    }
    secret.shorten(filled);
    return secret;
}

std::string loose_permissions(const std::string& path) {
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0 || (found.st_mode & (S_IWGRP | S_IROTH | S_IWOTH)) == 0) {
        return {};
    }
    return fmt::format("{} holds a key, and others than its owner may {} it; chmod 600 keeps it secret", path,
                       (found.st_mode & (S_IWGRP | S_IWOTH)) == 0 ? "read" : "change");
}

}  // namespace godwit
