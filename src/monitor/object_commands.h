#pragma once

#include "godwit/log.h"
#include "io/tls_objects.h"
#include "monitor/command_table.h"

namespace godwit {

/// Registers object-add and object-del for tls-creds-x509, tls-creds-psk, authz-simple and authz-list. `objects`
/// outlives `commands`.
void add_object_commands(CommandTable& commands, TlsObjects& objects, Log& log);

/// What object-add does. Errors: `invalid_argument` also for members that are missing, unknown or of a wrong type;
/// those of `TlsCredentials::load` and `TlsObjects::add`.
Status add_object(TlsObjects& objects, const Json& arguments, Log& log);

}  // namespace godwit
