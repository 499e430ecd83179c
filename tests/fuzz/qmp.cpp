// What a client of the monitor may send. First byte: in pieces of what size.
#include <algorithm>
#include <string>

#include "base/assert.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "monitor/qmp_session.h"

namespace godwit::fuzz {
namespace {

class NoClient : public CommandClient {
public:
    FileDescriptor take_descriptor() override { return {}; }
};

/// A command with an argument of every type.
CommandTable commands() {
    CommandTable table;
    table.add(Command{.name = "set",
                      .help = "Takes everything",
                      .arguments = {{.name = "text", .type = ArgumentType::string, .words = {"a", "b"}},
                                    {.name = "flag", .type = ArgumentType::boolean, .optional = true},
                                    {.name = "number", .type = ArgumentType::uint64, .optional = true},
                                    {.name = "list",
                                     .type = ArgumentType::array,
                                     .optional = true,
                                     .members = {{.name = "item",
                                                  .type = ArgumentType::object,
                                                  .members = {{.name = "name", .type = ArgumentType::string}}}}}},
                      .handler = [](const Json& arguments, CommandClient&) -> Result<Json> {
                          GODWIT_ASSERT(arguments.is_object() && arguments.at("text").is_string() &&
                                            arguments.value("flag", Json(true)).is_boolean() &&
                                            arguments.value("number", Json(1U)).is_number_unsigned(),
                                        "arguments that do not fit the schema");
                          return arguments;
                      }});
    return table;
}

/// Every answer is one line of JSON: an object.
bool check_answer(std::string_view message) {
    GODWIT_ASSERT(message.ends_with("\r\n") && message.find('\n') == message.size() - 1, "an answer of several lines");
    const Json answer = Json::parse(message, nullptr, false);
    GODWIT_ASSERT(
        answer.is_object() && (answer.contains("return") || answer.contains("error") || answer.contains("QMP")),
        "no answer: {}", message);
    return true;
}

}  // namespace
}  // namespace godwit::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit;
    using namespace godwit::fuzz;
    static const CommandTable table = commands();
    Input input(data, size);
    const std::size_t piece = std::size_t{1} + input.choice();
    NoClient client;
    QmpSession session(table, client, check_answer);
    session.greet();
    const std::span<const std::byte> bytes = input.rest();
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        const std::size_t count = std::min(piece, bytes.size() - at);
        const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + at, count);
        GODWIT_ASSERT(session.receive(text) == count, "input was left over");
    }
    return 0;
}
