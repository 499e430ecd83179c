#include "cli/migration_panel.h"

#include <gtest/gtest.h>

#include "base/printable.h"

namespace godwit {
namespace {

const Json& active_report() {
    static const Json report = Json::parse(R"({"status":"active","expected-downtime":312,"total-time":5000,
        "cpu-throttle-percentage":20,"x-godwit-passes":3,
        "convergence":{"verdict":"stalled","advice":"raise downtime-limit to 900 ms"},
        "ram":{"transferred":2147483648,"remaining":536870912,"total":1073741824,"mbps":812.5,"pages-per-second":24800,
        "dirty-pages-rate":25600,"page-size":4096,"dirty-sync-count":4}})");
    return report;
}

MachineView view_of(const Json& report) {
    MachineView view;
    view.name = "vm1";
    view.server = "godwit 0.1.0";
    view.run_state = "running";
    view.migration = parse_migration(report);
    for (int i = 0; i < 500; ++i) {
        view.course.add(view.migration);
    }
    return view;
}

std::string joined(const std::vector<PanelLine>& lines) {
    std::string text;
    for (const PanelLine& line : lines) {
        text += line.text + "\n";
    }
    return text;
}

TEST(ParseMigration, TakesWhatIsThere) {
    const MigrationSample sample = parse_migration(active_report());
    EXPECT_EQ(sample.status, "active");
    EXPECT_EQ(sample.passes, 3);
    EXPECT_EQ(sample.throttle_percent, 20);
    EXPECT_EQ(sample.dirty_bytes_per_s, 25600.0 * 4096);
    EXPECT_EQ(sample.verdict, "stalled");
    EXPECT_DOUBLE_EQ(sample.fraction(), 0.5);
    for (const char* text : {"null", "[]", "7", "{}", R"({"status":5,"ram":[],"convergence":"x","error-desc":{}})",
                             R"({"ram":{"total":"x","remaining":-1}})"}) {
        const MigrationSample odd = parse_migration(Json::parse(text));
        EXPECT_EQ(odd.status, "") << text;
        EXPECT_EQ(odd.fraction(), 0) << text;
    }
    EXPECT_EQ(parse_migration({{"error-desc", "a\x1b[2J"}}).error, "a\\x1b[2J");
}

TEST(ParseMigration, KnowsADestination) {
    const MigrationSample sample = parse_migration(Json::parse(
        R"({"status":"active","x-godwit-incoming":true,"ram":{"duplicate":1,"normal":1,"total":16384,"page-size":4096}})"));
    EXPECT_DOUBLE_EQ(sample.fraction(), 0.5);
}

TEST(MigrationCourse, BeginsAnewWithEachMigration) {
    MigrationCourse course;
    MigrationSample sample = parse_migration(active_report());
    for (std::size_t i = 0; i < 2 * MigrationCourse::most_values; ++i) {
        course.add(sample);
    }
    EXPECT_EQ(course.remaining().size(), MigrationCourse::most_values);
    sample.transferred_bytes = 1;
    course.add(sample);
    EXPECT_EQ(course.remaining().size(), 1U);
    sample.status = "setup";
    course.add(sample);
    EXPECT_TRUE(course.dirtied().empty());
}

TEST(Panel, ShowsEverything) {
    const std::string text = joined(panel_lines(view_of(active_report()), 100, Glyphs::unicode));
    for (const char* part :
         {"vm1  active  guest running  godwit 0.1.0\n", "50 %", "512 MiB of 1.0 GiB remaining, 2.0 GiB sent",
          "812 Mbit/s  24800 pages/s  expected downtime 312 ms  pass 3  throttle 20 %", "remaining ", "█", "100 MiB/s",
          "verdict: stalled  raise downtime-limit to 900 ms"}) {
        EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
    }
}

Json report_with_disks() {
    Json report = active_report();
    report["disk"] = {{"transferred", 1 << 20}, {"remaining", 3221225472}, {"total", 3221225472}};
    return report;
}

TEST(ParseMigration, CountsDisksAsMuchAsMemory) {
    const MigrationSample sample = parse_migration(report_with_disks());
    EXPECT_DOUBLE_EQ(sample.fraction(), 0.125);
    Json incoming = report_with_disks();
    incoming["x-godwit-incoming"] = true;
    incoming["disk"]["transferred"] = 3221225472;
    EXPECT_DOUBLE_EQ(parse_migration(incoming).fraction(), 0.75);
    MigrationCourse course;
    course.add(sample);
    EXPECT_EQ(course.remaining(), (std::vector<double>{3221225472.0 + 536870912}));
}

TEST(Panel, ShowsDisksWhereTheyMove) {
    EXPECT_EQ(joined(panel_lines(view_of(active_report()), 100, Glyphs::ascii)).find("disks"), std::string::npos);
    const std::string text = joined(panel_lines(view_of(report_with_disks()), 100, Glyphs::ascii));
    EXPECT_NE(text.find("disks: 3.0 GiB of 3.0 GiB remaining  1.0 MiB sent\n"), std::string::npos) << text;
    EXPECT_NE(text.find("3.5 GiB\n"), std::string::npos) << "all that remains\n" << text;
    Json ended = report_with_disks();
    ended["status"] = "completed";
    EXPECT_NE(joined(panel_lines(view_of(ended), 100, Glyphs::ascii)).find("disks 1.0 MiB"), std::string::npos);
    ended["status"] = "active";
    ended["x-godwit-incoming"] = true;
    EXPECT_NE(joined(panel_lines(view_of(ended), 100, Glyphs::ascii)).find("disks: 1.0 MiB received"),
              std::string::npos);
}

TEST(Panel, NoLineIsWiderThanTheWindow) {
    Json failed = active_report();
    failed["status"] = "failed";
    failed["error-desc"] = std::string(300, 'x');
    failed["x-godwit-error-code"] = "peer-closed";
    Json received = active_report();
    received["x-godwit-incoming"] = true;
    // Of a peer that means no good: figures longer than their places.
    Json huge = active_report();
    huge["ram"].update({{"total", 1e300}, {"remaining", 1e300}, {"page-size", 1e200}, {"dirty-pages-rate", 1e100}});
    for (const Json& report :
         {active_report(), report_with_disks(), failed, received, huge, Json::object(), Json{{"status", "setup"}}}) {
        MachineView view = view_of(report);
        for (const char* trouble : {"", "no answer for 12 s: it may have been stopped, or it hangs in a system call"}) {
            view.trouble = trouble;
            for (std::size_t width = least_panel_width; width <= 200; ++width) {
                for (const Glyphs glyphs : {Glyphs::ascii, Glyphs::unicode}) {
                    for (const PanelLine& line : panel_lines(view, width, glyphs)) {
                        EXPECT_LE(columns(line.text), width) << line.text;
                    }
                    EXPECT_LE(columns(compact_line(view, width, glyphs).text), width);
                }
            }
        }
    }
}

TEST(Panel, AsciiIsAscii) {
    for (const PanelLine& line : panel_lines(view_of(active_report()), 80, Glyphs::ascii)) {
        EXPECT_EQ(printable(line.text), line.text);
    }
}

TEST(Screen, FitsTheWindow) {
    std::vector<MachineView> machines(10, view_of(active_report()));
    EXPECT_GT(screen_lines(machines, 80, 200, Glyphs::ascii).size(), 50U);
    // One line each.
    EXPECT_EQ(screen_lines(machines, 80, 24, Glyphs::ascii).size(), 11U);
    const auto low = screen_lines(machines, 80, 5, Glyphs::ascii);
    EXPECT_EQ(low.size(), 5U);
    EXPECT_EQ(low.back().text, "7 more: the window is too low");
    for (std::size_t height = 1; height < 30; ++height) {
        EXPECT_LE(screen_lines(machines, 80, height, Glyphs::ascii).size(), std::max<std::size_t>(height, 2));
    }
}

TEST(Panel, ShowsTheEnd) {
    const MachineView view = view_of(Json::parse(
        R"({"status":"completed","total-time":1234,"x-godwit-downtime-ns":4567000,"x-godwit-passes":3,
            "ram":{"transferred":1048576,"total":1}})"));
    const auto lines = panel_lines(view, 80, Glyphs::ascii);
    EXPECT_EQ(lines[0].style, PanelLine::Style::good);
    EXPECT_NE(joined(lines).find("total 1.234 s  downtime 4.6 ms  sent 1.0 MiB  3 passes"), std::string::npos)
        << joined(lines);
}

}  // namespace
}  // namespace godwit
