#include "tools/stream_listener.h"

namespace godwit {

using format::SectionType;

const char* IteratedSection::kind() const {
    return type == SectionType::start ? "START" : type == SectionType::part ? "PART" : "END";
}

const char* command_name(std::uint16_t command) {
    return command == static_cast<std::uint16_t>(format::Command::open_return_path) ? "OPEN_RETURN_PATH"
           : command == static_cast<std::uint16_t>(format::Command::ping)           ? "PING"
           : command == static_cast<std::uint16_t>(format::Command::commit)         ? "COMMIT"
                                                                                    : "other";
}

}  // namespace godwit
