#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/error.h"
#include "io/file_descriptor.h"
#include "monitor/json.h"

namespace godwit {

enum class ArgumentType {
    string,
    string_or_null,
    boolean,
    integer,  ///< an int64
    uint64,
    size,    ///< a uint64; an integer too large for one counts as the largest
    number,  ///< with or without a fraction
    array,   ///< its elements are described by the one member of `members`
    object,  ///< its members are described by `members`
};

/// One argument of a command, or a member of one.
struct Argument {
    /// What an object has besides `members` when the first of these, a string, is `word`.
    struct Variant {
        std::string word;
        std::vector<Argument> members = {};
    };

    std::string name;
    ArgumentType type = ArgumentType::string;
    bool optional = false;
    std::string help = {};
    std::vector<Argument> members = {};
    /// The words that a string may be; empty: any.
    std::vector<std::string> words = {};
    /// Words of former times that are taken as well, and told to nobody.
    std::vector<std::string> former_words = {};
    /// Of an object: one for each word of its first member; empty: it has `members` alone.
    std::vector<Variant> variants = {};
};

/// The client that has sent a command, as far as a handler may use it.
class CommandClient {
public:
    virtual ~CommandClient() = default;
    /// Takes the oldest descriptor that came along with the command; none may be left.
    virtual FileDescriptor take_descriptor() = 0;
};

/// Runs on the event loop's thread and must not block. `arguments` is an object that fits the schema.
using CommandHandler = std::function<Result<Json>(const Json& arguments, CommandClient& client)>;

/// A command of the monitor. Adding a command is adding one of these.
struct Command {
    std::string name;
    std::string help;
    std::vector<Argument> arguments;
    CommandHandler handler;
    /// May be run out-of-band: before the client's commands that wait still.
    bool allow_oob = false;
    /// Class, in an answer, of the handler's error `not_found`.
    std::string not_found_class = "GenericError";
};

/// The commands that a monitor knows, in alphabetical order.
class CommandTable {
public:
    /// Names are unique.
    void add(Command command);
    /// Null when there is none of that name.
    const Command* find(std::string_view name) const;
    const std::map<std::string, Command, std::less<>>& all() const { return commands_; }

private:
    std::map<std::string, Command, std::less<>> commands_;
};

/// The value of an argument of type `size`; nothing when it is none.
std::optional<std::uint64_t> to_size(const Json& value);

/// Checks an object against a schema: nothing missing, unknown or of a wrong type. Error: `invalid_argument`, in QEMU's
/// words.
Status check_arguments(const std::vector<Argument>& schema, const Json& arguments);

}  // namespace godwit
