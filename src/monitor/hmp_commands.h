#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/error.h"
#include "monitor/command_table.h"

namespace godwit {

/// How a word of a line becomes an argument.
enum class HmpArgumentType {
    flag,     ///< "-d"; flags come before everything else
    word,     ///< as it is
    on_off,   ///< a boolean
    size,     ///< bytes; counts MiB without a suffix
    seconds,  ///< with or without a fraction
    integer,  ///< not negative
};

/// What completion offers in the place of an argument.
enum class HmpChoices { by_type, commands, topics, capabilities, parameters, parameter_values };

/// One argument of a command of the human monitor.
struct HmpArgument {
    /// Its name among the arguments of the QMP command.
    std::string name;
    HmpArgumentType type = HmpArgumentType::word;
    /// The letter of a flag.
    char letter = '\0';
    bool optional = false;
    HmpChoices choices = HmpChoices::by_type;
};

/// The answer to a line.
struct HmpReply {
    enum class Then {
        prompt,              ///< the next line may come
        wait_for_migration,  ///< once the migration that was started has ended
        end,                 ///< the program ends
    };
    /// Lines, each with its end ("\n"); empty: there is nothing to say.
    std::string text = {};
    Then then = Then::prompt;
};

/// The monitor in which a line runs. Event loop's thread.
class HmpCall {
public:
    HmpCall(const CommandTable& commands, CommandClient& client) : commands_(commands), client_(client) {}

    /// Checks the arguments of a command of QMP and runs it. Errors: `not_found`, those of `check_arguments` and its
    /// own.
    Result<Json> ask(std::string_view command, const Json& arguments = Json::object());
    const CommandTable& commands() const { return commands_; }

private:
    const CommandTable& commands_;
    CommandClient& client_;
};

/// A command of the human monitor, or a topic of its `info`.
struct HmpCommand {
    std::string name;
    /// A second name; empty: none.
    std::string alias;
    /// The arguments as a person reads them.
    std::string usage;
    std::string help;
    /// The command of QMP without which this one does not exist; empty: it needs none.
    std::string qmp;
    std::vector<HmpArgument> arguments;
    /// `given` holds the arguments by name; those that are not optional are there.
    std::function<Result<HmpReply>(HmpCall& call, const Json& given)> run;
};

/// All commands, those included whose command of QMP is absent; in alphabetical order.
const std::vector<HmpCommand>& hmp_commands();
/// What `info` tells about; as `hmp_commands`.
const std::vector<HmpCommand>& hmp_topics();

/// A command of `list` that exists with these commands of QMP; null: there is none of that name.
const HmpCommand* find_hmp(const std::vector<HmpCommand>& list, std::string_view name, const CommandTable& commands);
bool exists(const HmpCommand& command, const CommandTable& commands);

/// The argument of that name; null when the command or the argument does not exist.
const Argument* find_argument(const CommandTable& commands, std::string_view command, std::string_view name);

}  // namespace godwit
