#pragma once

#include <string_view>

#include "godwit/error.h"

namespace godwit {

/// Writes to the standard output, which is buffered. What cannot be written is told by `finish_output`.
void put_output(std::string_view text);

/// Call at the end of what was written: all of it is out then. Errors: `io` if any of it was lost.
Status finish_output();

/// The end of a command that answers a question by its exit status, as diff(1) does: 0 for yes, 1 for no, 2 for
/// trouble, of which the standard error tells. Lost output is trouble.
int finish_answer(Result<bool> answer);

}  // namespace godwit
