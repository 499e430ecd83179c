#pragma once

#include <string>
#include <vector>

#include "cli/qmp_client.h"
#include "godwit/error.h"
#include "monitor/json.h"

namespace godwit {

/// Requests that change a machine's settings as `--set NAME=VALUE` says. Which of them are capabilities, and of which
/// type a parameter is, comes from the machine, so that a QEMU's own settings can be changed, too.
struct SettingRequests {
    Json capabilities = Json::array();
    Json parameters = Json::object();
};

/// `capabilities` and `parameters`: what the machine answers to query-migrate-capabilities and
/// query-migrate-parameters. Errors: `invalid_argument`, `not_found`.
Result<SettingRequests> setting_requests(const std::vector<std::string>& settings, const Json& capabilities,
                                         const Json& parameters);

/// Changes the machine's settings. Errors: as above, and the machine's.
Status change_settings(QmpClient& client, const std::vector<std::string>& settings);

/// All settings of this program's machines, a line for each: for the help.
std::string settings_help();

}  // namespace godwit
