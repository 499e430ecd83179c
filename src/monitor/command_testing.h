#pragma once

#include <string>

#include "monitor/command_table.h"

namespace godwit::testing {

/// A client that sends no descriptors.
class NoClient : public CommandClient {
public:
    FileDescriptor take_descriptor() override { return {}; }
};

/// What a monitor does with a command: its arguments are checked first.
inline Result<Json> run_command(const CommandTable& commands, CommandClient& client, const std::string& name,
                                const Json& arguments) {
    const Command* command = commands.find(name);
    if (auto status = check_arguments(command->arguments, arguments); !status) {
        return fail(status.error());
    }
    return command->handler(arguments, client);
}

}  // namespace godwit::testing
