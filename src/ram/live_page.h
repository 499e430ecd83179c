#pragma once

#include <cstddef>

#include "godwit/units.h"

namespace godwit {

/// Copies a page that the guest may be writing to. The copy may be a mixture of old and new; such a page is dirty
/// again.
void copy_live_page(const std::byte* page, std::byte* copy);

}  // namespace godwit
