#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "base/printable.h"
#include "cli/output.h"
#include "cli/subcommands.h"
#include "godwit/error_table.h"

namespace godwit {

namespace {

Status print_errors(const std::string& code) {
    if (code.empty()) {
        for (const ErrorInfo& info : error_table()) {
            put_output(fmt::format("{:>3}  {:<19} {}\n", static_cast<unsigned>(info.code), info.name,
                                   plain_text(info.meaning)));
        }
        return finish_output();
    }
    const ErrorInfo* const info = find_error(code);
    if (info == nullptr) {
        return fail(ErrorCode::invalid_argument, fmt::format("there is no error code '{}'", printable(code)),
                    "'godwit errors' lists them");
    }
    put_output(fmt::format("{} ({})\n  meaning:    {}\n  what to do: {}\n", info->name,
                           static_cast<unsigned>(info->code), plain_text(info->meaning), plain_text(info->remedy)));
    return finish_output();
}

}  // namespace

void add_errors_command(CLI::App& app, int& status) {
    auto code = std::make_shared<std::string>();
    CLI::App* command = app.add_subcommand("errors", "Explain an error code: what it means and what to do");
    command->add_option("CODE", *code, "its name or number, as it stands in brackets after a message; default: all");
    command->footer("Example:\n  godwit errors handover-unknown");
    command->callback([code, &status] {
        const Status outcome = print_errors(*code);
        if (!outcome) {
            print_error(outcome.error());
        }
        const bool usage = !outcome && outcome.error().code == ErrorCode::invalid_argument;
        status = outcome ? exit_success : usage ? exit_usage : exit_failure;
    });
}

}  // namespace godwit
