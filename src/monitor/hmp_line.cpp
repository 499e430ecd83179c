#include "monitor/hmp_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/printable.h"
#include "monitor/hmp_parser.h"
#include "monitor/hmp_settings.h"

namespace godwit {

namespace {

using Type = HmpArgumentType;

constexpr std::uint64_t mib_bytes = std::uint64_t{1} << 20;

std::string try_help(const HmpCommand& command) {
    return fmt::format(R"(Try "help {}" for more information)", command.name);
}

Result<Json> to_argument(Type type, const std::string& word) {
    switch (type) {
        case Type::flag:
        case Type::word:
            return word;
        case Type::on_off: {
            const auto state = parse_switch(word, false);
            return state ? Result<Json>(*state) : fail(state.error());
        }
        case Type::size: {
            const auto size = parse_size(word, mib_bytes);
            return size ? Result<Json>(*size) : fail(size.error());
        }
        case Type::seconds: {
            const auto seconds = parse_seconds(word);
            return seconds ? Result<Json>(*seconds) : fail(seconds.error());
        }
        case Type::integer: {
            const auto number = parse_size(word, 1);
            const bool digits = word.find_first_not_of("0123456789") == std::string::npos;
            return number && digits ? Result<Json>(*number)
                                    : fail(ErrorCode::invalid_argument, fmt::format("'{}' is no whole number", word));
        }
    }
    return word;
}

/// Takes "-x" words from `at` on.
Status take_flags(const HmpCommand& command, const std::vector<std::string>& words, std::size_t& at, Json& given) {
    const bool any = !command.arguments.empty() && command.arguments.front().type == Type::flag;
    for (; any && at < words.size() && words[at].size() > 1 && words[at].front() == '-'; ++at) {
        for (const char letter : words[at].substr(1)) {
            const auto flag = std::find_if(
                command.arguments.begin(), command.arguments.end(),
                [letter](const HmpArgument& each) { return each.type == Type::flag && each.letter == letter; });
            if (flag == command.arguments.end()) {
                return fail(ErrorCode::invalid_argument,
                            fmt::format("{}: unsupported option -{}", command.name, letter), try_help(command));
            }
            given[flag->name] = true;
        }
    }
    return {};
}

Result<Json> take_arguments(const HmpCommand& command, const std::vector<std::string>& words) {
    Json given = Json::object();
    std::size_t at = 1;
    if (auto status = take_flags(command, words, at, given); !status) {
        return fail(status.error());
    }
    for (const HmpArgument& argument : command.arguments) {
        if (argument.type == Type::flag) {
            continue;
        }
        if (at == words.size()) {
            if (argument.optional) {
                break;
            }
            return fail(ErrorCode::invalid_argument, fmt::format("Parameter '{}' is missing", argument.name),
                        try_help(command));
        }
        auto value = to_argument(argument.type, words[at++]);
        if (!value) {
            Error error = value.error();
            error.hint = error.hint.empty() ? try_help(command) : error.hint;
            return fail(std::move(error));
        }
        given[argument.name] = std::move(*value);
    }
    if (at != words.size()) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{}: extraneous characters at the end of line", command.name), try_help(command));
    }
    return given;
}

Result<HmpReply> run(std::string_view line, const CommandTable& commands, CommandClient& client) {
    const auto words = split_words(line);
    if (!words) {
        return fail(words.error());
    }
    if (words->empty()) {
        return HmpReply();
    }
    const HmpCommand* command = find_hmp(hmp_commands(), words->front(), commands);
    if (command == nullptr) {
        return fail(ErrorCode::not_found, fmt::format("unknown command: '{}'", words->front()));
    }
    const auto given = take_arguments(*command, *words);
    if (!given) {
        return fail(given.error());
    }
    HmpCall call(commands, client);
    return command->run(call, *given);
}

/// Shows control characters, which could change the state of a terminal; text in UTF-8 stays.
std::string harmless(std::string_view text) {
    std::string shown;
    unsigned char before = 0;
    for (const char byte : text) {
        const auto value = static_cast<unsigned char>(byte);
        const bool low = (value < ' ' && byte != '\n' && byte != '\t') || byte == '\x7f';
        // U+0080 to U+009F, some of which begin what a terminal obeys.
        const bool high = before == 0xc2 && value >= 0x80 && value < 0xa0;
        before = value;
        const bool control = low || high;
        shown += control ? printable(std::string_view(&byte, 1)) : std::string(1, byte);
    }
    return shown;
}

std::vector<std::string> names(const std::vector<HmpCommand>& list, const CommandTable& commands) {
    std::vector<std::string> found;
    for (const HmpCommand& command : list) {
        if (exists(command, commands)) {
            found.push_back(command.name);
        }
    }
    return found;
}

std::vector<std::string> flags(const HmpCommand& command) {
    std::vector<std::string> found;
    for (const HmpArgument& argument : command.arguments) {
        if (argument.type == Type::flag) {
            found.push_back({'-', argument.letter});
        }
    }
    return found;
}

/// `before`: the words that stand before the argument, the command's name included.
std::vector<std::string> choices(const HmpCommand& command, const HmpArgument& argument,
                                 const std::vector<std::string>& before, const CommandTable& commands) {
    switch (argument.choices) {
        case HmpChoices::by_type: {
            if (argument.type == Type::on_off) {
                return {"on", "off"};
            }
            const Argument* known = find_argument(commands, command.qmp, argument.name);
            return known == nullptr ? std::vector<std::string>() : known->words;
        }
        case HmpChoices::commands:
            return names(hmp_commands(), commands);
        case HmpChoices::topics:
            return before.front() == "info" || before.back() == "info" ? names(hmp_topics(), commands)
                                                                       : std::vector<std::string>();
        case HmpChoices::capabilities: {
            const Argument* list = find_argument(commands, command.qmp, "capabilities");
            return list == nullptr ? std::vector<std::string>() : capability_names(commands);
        }
        case HmpChoices::parameters:
            return parameter_names(commands);
        case HmpChoices::parameter_values:
            return parameter_choices(commands, before.back());
    }
    return {};
}

std::vector<std::string> argument_choices(const HmpCommand& command, const std::vector<std::string>& before,
                                          bool is_flag, const CommandTable& commands) {
    if (is_flag) {
        return flags(command);
    }
    const auto given =
        std::count_if(before.begin() + 1, before.end(), [](const std::string& word) { return !word.starts_with('-'); });
    std::ptrdiff_t position = 0;
    for (const HmpArgument& argument : command.arguments) {
        if (argument.type != Type::flag && position++ == given) {
            return choices(command, argument, before, commands);
        }
    }
    return {};
}

}  // namespace

std::string hmp_error_text(const Error& error) {
    return harmless(fmt::format("Error: {}\n{}", error.message, error.hint.empty() ? "" : error.hint + "\n"));
}

HmpReply run_hmp_line(std::string_view line, const CommandTable& commands, CommandClient& client) {
    auto reply = run(line, commands, client);
    if (!reply) {
        return {hmp_error_text(reply.error())};
    }
    reply->text = harmless(reply->text);
    return std::move(*reply);
}

std::vector<std::string> complete_hmp_line(std::string_view line, const CommandTable& commands) {
    const auto blank = line.find_last_of(" \t");
    const std::size_t begin = blank == std::string_view::npos ? 0 : blank + 1;
    const std::string_view word = line.substr(begin);
    const auto before = split_words(line.substr(0, begin));
    if (!before) {
        return {};
    }
    std::vector<std::string> found;
    if (before->empty()) {
        found = names(hmp_commands(), commands);
    } else if (const HmpCommand* command = find_hmp(hmp_commands(), before->front(), commands)) {
        found = argument_choices(*command, *before, word.starts_with('-'), commands);
    }
    std::erase_if(found, [word](const std::string& each) { return !each.starts_with(word); });
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace godwit
