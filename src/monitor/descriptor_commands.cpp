#include "monitor/descriptor_commands.h"

#include <string>
#include <utility>

namespace godwit {

void add_descriptor_commands(CommandTable& commands, NamedDescriptors& descriptors) {
    const Argument name{"fdname", ArgumentType::string, false, "name under which a migration finds the descriptor"};
    commands.add({"getfd",
                  "Keeps a descriptor, which comes along over the socket, under a name.",
                  {name},
                  [&descriptors](const Json& arguments, CommandClient& client) -> Result<Json> {
                      FileDescriptor fd = client.take_descriptor();
                      if (!fd.valid()) {
                          return fail(ErrorCode::invalid_argument, "No file descriptor supplied via SCM_RIGHTS");
                      }
                      if (auto status = descriptors.put(arguments["fdname"].get<std::string>(), std::move(fd));
                          !status) {
                          return fail(status.error());
                      }
                      return Json::object();
                  }});
    commands.add({"closefd",
                  "Closes a descriptor that was passed with getfd.",
                  {name},
                  [&descriptors](const Json& arguments, CommandClient&) -> Result<Json> {
                      if (auto status = descriptors.close(arguments["fdname"].get<std::string>()); !status) {
                          return fail(status.error());
                      }
                      return Json::object();
                  }});
}

}  // namespace godwit
