#pragma once

#include <string>
#include <vector>

#include "monitor/hmp_commands.h"

namespace godwit {

// The human monitor's commands for capabilities and parameters. Names and types come from the arguments of the commands
// of QMP, so a parameter that is new there is known here.

/// `migrate_set_capability`.
Result<HmpReply> set_capability(HmpCall& call, const Json& given);
/// `migrate_set_parameter`.
Result<HmpReply> set_parameter_by_name(HmpCall& call, const Json& given);
/// `info migrate_parameters`.
Result<HmpReply> show_parameters(HmpCall& call, const Json& given);

std::vector<std::string> capability_names(const CommandTable& commands);
std::vector<std::string> parameter_names(const CommandTable& commands);
/// What the parameter may be, if that is a matter of a few words.
std::vector<std::string> parameter_choices(const CommandTable& commands, const std::string& parameter);

}  // namespace godwit
