// What is told of TLS: --object, object-add's arguments, lists of names, and the lines of keys.psk. First byte: which
// of them.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/printable.h"
#include "cli/object_argument.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "io/tls_authorization.h"
#include "io/tls_keys.h"
#include "io/tls_objects.h"
#include "monitor/object_commands.h"

namespace godwit::fuzz {
namespace {

class NoLog : public Log {
public:
    void write(LogLevel, std::string_view) override {}
};

/// Whatever it is made of, it is made once, found again and removed.
void add(const Json& arguments) {
    TlsObjects objects;
    NoLog log;
    if (!add_object(objects, arguments, log)) {
        return;
    }
    const std::string id = arguments["id"].get<std::string>();
    GODWIT_ASSERT(!add_object(objects, arguments, log), "the same id twice");
    MigrationParameters parameters;
    parameters.tls_creds = id;
    const auto terms = objects.terms(parameters, Direction::incoming);
    GODWIT_ASSERT(terms || terms.error().code == ErrorCode::invalid_argument, "it is not found: {}",
                  terms.error().text());
    GODWIT_ASSERT(objects.remove(id) && !objects.remove(id), "it is not removed once");
}

void take_argument(const std::string& text) {
    const auto arguments = parse_object_argument(text);
    if (!arguments) {
        GODWIT_ASSERT(arguments.error().code == ErrorCode::invalid_argument, "an odd error");
        return;
    }
    GODWIT_ASSERT(arguments->is_object() && arguments->contains("qom-type"), "no object of arguments");
    add(*arguments);
}

void take_request(const std::string& text) {
    const Json arguments = Json::parse(text, nullptr, false);
    if (arguments.is_object()) {
        add(arguments);
    }
}

void take_keys(std::string_view text) {
    const auto keys = TlsKeys::parse(text);
    if (!keys) {
        const Error& error = keys.error();
        GODWIT_ASSERT(printable(error.text()) == error.text(), "an error that shows what is in the file");
        return;
    }
    const std::size_t colon = text.find(':');
    GODWIT_ASSERT(colon != std::string_view::npos || keys->find("qemu") == nullptr, "a key from nothing");
}

/// First line: a pattern; second: a name.
void match(std::string_view text) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
        return;
    }
    const std::string pattern(text.substr(0, end));
    const std::string name(text.substr(end + 1));
    const bool allowed = TlsAuthorization({{pattern, true, true}}, false).allows(name);
    const bool denied = !TlsAuthorization({{pattern, false, true}}, true).allows(name);
    GODWIT_ASSERT(name.find('\0') != std::string::npos ? !allowed && denied : allowed == denied,
                  "a pattern fits once and not again");
    if (pattern.find_first_of("*?") == std::string::npos && pattern.find('\0') == std::string::npos) {
        GODWIT_ASSERT(!allowed || name == pattern, "a pattern without jokers fits something else");
    }
}

}  // namespace
}  // namespace godwit::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit::fuzz;
    Input input(data, size);
    const unsigned which = input.choice() % 4U;
    const auto bytes = input.rest();
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    switch (which) {
        case 0:
            take_argument(text);
            break;
        case 1:
            take_request(text);
            break;
        case 2:
            take_keys(text);
            break;
        default:
            match(text);
            break;
    }
    return 0;
}
