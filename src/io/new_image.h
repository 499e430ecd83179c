#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "godwit/error.h"
#include "godwit/units.h"
#include "io/file_owner.h"

namespace godwit {

/// Makes a file of `size` that begins with `beginning` and goes on with a hole; only its owner, `owner` if there is
/// one, can read and write it. It gets its name when it is complete and on stable storage, unless something has that
/// name already: then false, and what stands there is left alone. So of two programs that make the same file at once
/// both find one that is complete. Errors: `disk`.
Result<bool> make_image_if_absent(const std::string& path, ByteCount size, std::span<const std::byte> beginning,
                                  const std::optional<FileOwner>& owner = {});

/// Whether something is there by that name. Errors: `disk`, when that cannot be found out.
Result<bool> file_exists(const std::string& path);

}  // namespace godwit
