// What a machine answers to the program that controls it: `godwit status`, `migrate`, `top` and `qmp`, at a socket that
// may be anybody's.
#include <array>

#include "base/assert.h"
#include "base/printable.h"
#include "cli/migrate_settings.h"
#include "cli/migration_panel.h"
#include "cli/progress.h"
#include "cli/qmp_client.h"
#include "fuzz/fuzz_server.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"

namespace {

using namespace godwit;

void check_text(const std::string& text) {
    GODWIT_ASSERT(printable(text) == text, "a text that is not fit to print: {}", printable(text));
}

bool worked(const Status& status) {
    if (!status) {
        check_text(status.error().message);
        check_text(status.error().hint);
    }
    return status.has_value();
}

void check_lines(const std::vector<PanelLine>& lines, std::size_t width, Glyphs glyphs) {
    for (const PanelLine& line : lines) {
        GODWIT_ASSERT(columns(line.text) <= width, "a line of {} columns", columns(line.text));
        if (glyphs == Glyphs::ascii) {
            check_text(line.text);
        }
    }
}

void show(const QmpClient& client, const Json& report) {
    check_text(progress_line(report));
    check_text(completion_text(report));
    MachineView view;
    view.name = "m";
    view.server = client.server();
    view.run_state = "running";
    view.migration = parse_migration(report);
    const double fraction = view.migration.fraction();
    GODWIT_ASSERT(fraction >= 0 && fraction <= 1, "{} of the whole", fraction);
    view.course.add(view.migration);
    for (const std::size_t width : {least_panel_width, std::size_t{20}, std::size_t{80}, std::size_t{300}}) {
        for (const Glyphs glyphs : {Glyphs::ascii, Glyphs::unicode}) {
            check_lines(panel_lines(view, width, glyphs), width, glyphs);
            check_lines({compact_line(view, width, glyphs)}, width, glyphs);
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static fuzz::FuzzServer server;
    server.say(std::as_bytes(std::span(data, size)));
    auto client = QmpClient::connect(server.path());
    if (!client) {
        worked(fail(client.error()));
        return 0;
    }
    check_text(client->server());
    for (int answers = 0; answers < 4; ++answers) {
        const auto report = client->execute("query-migrate");
        if (!report) {
            worked(fail(report.error()));
            return 0;
        }
        show(*client, *report);
    }
    worked(change_settings(*client, {"xbzrle=on", "max-bandwidth=1G", "tls-creds=a", "flag=off"}));
    return 0;
}
