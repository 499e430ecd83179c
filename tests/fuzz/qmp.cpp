// What a client of the monitor may send. First byte: in pieces of what size, after which negotiation, and whether the
// client is slow to read.
#include <algorithm>
#include <string>

#include "base/assert.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "monitor/basic_commands.h"
#include "monitor/command_testing.h"
#include "monitor/qmp_session.h"

namespace godwit::fuzz {
namespace {

/// A command with an argument of every type.
void add_set(CommandTable& table) {
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
                      },
                      .allow_oob = true});
}

/// The commands refer to their table: it stays where it is.
struct Commands {
    Commands() {
        add_basic_commands(table, [] {});
        add_set(table);
    }
    CommandTable table;
};

enum class Start { raw, negotiated, out_of_band, out_of_band_slow };

std::string_view negotiation(Start start) {
    switch (start) {
        case Start::raw:
            return "";
        case Start::negotiated:
            return R"({"execute":"qmp_capabilities"})";
        case Start::out_of_band:
        case Start::out_of_band_slow:
            return R"({"execute":"qmp_capabilities","arguments":{"enable":["oob"]}})";
    }
    return "";
}

/// Each answer is enough to read for a slow client, until it has read it.
void receive(QmpSession& session, std::string_view text) {
    while (!text.empty()) {
        session.resume();
        text.remove_prefix(session.receive(text));
    }
}

/// Every answer is one line of JSON: an object.
void check_answer(std::string_view message) {
    GODWIT_ASSERT(message.ends_with("\r\n") && message.find('\n') == message.size() - 1, "an answer of several lines");
    const Json answer = Json::parse(message, nullptr, false);
    GODWIT_ASSERT(
        answer.is_object() && (answer.contains("return") || answer.contains("error") || answer.contains("QMP")),
        "no answer: {}", message);
}

}  // namespace
}  // namespace godwit::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit;
    using namespace godwit::fuzz;
    static const Commands commands;
    Input input(data, size);
    const std::uint8_t choice = input.choice();
    const std::size_t piece = std::size_t{1} + choice % 64;
    const auto start = static_cast<Start>(choice / 64);
    testing::NoClient client;
    QmpSession session(commands.table, client, [start](std::string_view message) {
        check_answer(message);
        return start != Start::out_of_band_slow;
    });
    session.greet();
    receive(session, negotiation(start));
    const std::span<const std::byte> bytes = input.rest();
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        const std::size_t count = std::min(piece, bytes.size() - at);
        const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + at, count);
        receive(session, text);
    }
    while (session.keeps_commands()) {
        session.resume();
    }
    return 0;
}
