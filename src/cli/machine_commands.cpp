#include "cli/machine_commands.h"

#include <utility>

namespace godwit {

namespace {

Result<Json> done(const Status& status) {
    if (!status) {
        return fail(status.error());
    }
    return Json::object();
}

}  // namespace

void add_machine_commands(CommandTable& commands, MachineOperations operations) {
    commands.add({"query-name",
                  "The name that the machine was given.",
                  {},
                  [name = std::move(operations.name)](const Json&, CommandClient&) -> Result<Json> {
                      return name.empty() ? Json::object() : Json{{"name", name}};
                  }});
    commands.add(
        {"query-status",
         "What the machine is doing.",
         {},
         [run_state = std::move(operations.run_state)](const Json&, CommandClient&) -> Result<Json> {
             const RunState state = run_state();
             return Json{{"status", to_string(state)}, {"running", state == RunState::running}, {"singlestep", false}};
         }});
    commands.add({"stop", "Pauses the guest.", {}, [stop = std::move(operations.stop)](const Json&, CommandClient&) {
                      return done(stop());
                  }});
    commands.add(
        {"cont",
         "Lets the guest run.",
         {{"force", ArgumentType::boolean, true, "even if it may be running elsewhere: it is this side's from now on"}},
         [cont = std::move(operations.cont)](const Json& arguments, CommandClient&) {
             return done(cont(arguments.value("force", false)));
         }});
}

}  // namespace godwit
