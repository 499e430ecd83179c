// What a person gets to see of a trace: timeline, summary, drawing.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/printable.h"
#include "tools/svg_writer.h"
#include "tools/trace_chart.h"
#include "tools/trace_summary.h"
#include "tools/trace_testing.h"
#include "tools/trace_timeline.h"

namespace godwit {
namespace {

using std::chrono::milliseconds;

TraceEvent at_ms(int ms, decltype(TraceEvent::what) what) {
    return {milliseconds(1000 + ms), std::move(what)};
}

SwitchoverReport decision(bool switch_over) {
    SwitchoverReport report;
    report.remaining_bytes = 1 << 20;
    report.bandwidth_bytes_per_s = 1 << 27;
    report.downtime_limit = milliseconds(300);
    report.fits = report.switch_over = switch_over;
    report.expected_downtime = milliseconds(8);
    return report;
}

TraceEnd completed() {
    TraceEnd end;
    end.state = "completed";
    end.total = milliseconds(510);
    end.downtime = milliseconds(9);
    end.transferred_bytes = 3 << 20;
    end.passes = 2;
    end.peer = "godwit 0.1.0";
    return end;
}

Trace a_trace() {
    Trace trace;
    trace.header = {"0.1.0", "source", "vm <1>\x1b", "2026-01-02T03:04:05.678Z"};
    TraceAttempt attempt{"source", {}};
    attempt.events = {
        at_ms(0, TraceState{"none", "setup"}),
        at_ms(5, TraceState{"setup", "active"}),
        at_ms(5, TracePass{1}),
        at_ms(105, WindowReport{1 << 20, 256, 2 << 20, milliseconds(100), milliseconds(50)}),
        at_ms(205, WindowReport{1 << 20, 256, 1 << 20, milliseconds(100), milliseconds(0)}),
        at_ms(300, TraceThrottle{20}),
        at_ms(400, SyncReport{256, 1 << 20, milliseconds(400)}),
        at_ms(400, decision(false)),
        at_ms(500, decision(true)),
        at_ms(501, TraceStep{"source-stopped"}),
        at_ms(510, TraceState{"handing_over", "completed"}),
        at_ms(510, completed()),
    };
    trace.attempts.push_back(std::move(attempt));
    return trace;
}

std::string told(const Trace& trace, bool every_window = false) {
    std::string text;
    tell_trace(trace, {.every_window = every_window}, [&](const std::string& line) {
        EXPECT_EQ(printable(line), line);
        text += line + "\n";
    });
    return text;
}

TEST(TraceTimeline, TellsWhatHappenedWhen) {
    const std::string text = told(a_trace());
    EXPECT_NE(text.find("trace of vm <1>\\x1b by godwit 0.1.0, started as source at 2026-01-02"), std::string::npos);
    EXPECT_NE(text.find("+0.005000 s  pass 1 begins\n"), std::string::npos) << text;
    EXPECT_NE(
        text.find("+0.205000 s  sent: 2.0 MiB in 0.200 s (10.0 MiB/s, 2560 pages/s), asleep 25 %, 1.0 MiB remaining"),
        std::string::npos)
        << text;
    EXPECT_NE(text.find("sync: 256 pages dirtied in 400.00 ms (2.5 MiB/s), 1.0 MiB remaining"), std::string::npos)
        << text;
    EXPECT_NE(text.find("decision: go on; 1.0 MiB remaining take 8.00 ms at 128 MiB/s, limit 300.00 ms"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("throttle: 20 %"), std::string::npos);
    EXPECT_NE(text.find("downtime:    9.00 ms"), std::string::npos) << text;
    EXPECT_NE(text.find("predicted 8.00 ms, limit 300.00 ms, downtime was 9.00 ms"), std::string::npos) << text;
    const std::string longer = told(a_trace(), true);
    EXPECT_EQ(std::count(longer.begin(), longer.end(), '\n'), std::count(text.begin(), text.end(), '\n') + 1);
}

TEST(TraceTimeline, TellsOfDisksWhereTheyMove) {
    EXPECT_EQ(told(a_trace()).find("disk"), std::string::npos);
    Trace trace = a_trace();
    for (TraceEvent& event : trace.attempts[0].events) {
        if (auto* window = std::get_if<WindowReport>(&event.what)) {
            window->disk = DiskWindow{1 << 19, 1 << 22};
        }
    }
    EXPECT_NE(told(trace).find("1.0 MiB remaining; disks: 1.0 MiB sent, 4.0 MiB remaining\n"), std::string::npos)
        << told(trace);
    EXPECT_NE(told(trace).find("disks:       1.0 MiB of these\n"), std::string::npos);
    std::get<TraceEnd>(trace.attempts[0].events.back().what).disk_transferred_bytes = 1 << 21;
    EXPECT_NE(told(trace).find("disks:       2.0 MiB of these\n"), std::string::npos) << told(trace);
}

TEST(TraceTimeline, TellsOfMigrationsThatDidNotEndWell) {
    Trace trace = a_trace();
    trace.attempts[0].events.pop_back();
    trace.cut_line = 13;
    EXPECT_NE(told(trace).find("outcome:     the trace stops before the end"), std::string::npos);
    EXPECT_NE(told(trace).find("cut off in line 13"), std::string::npos);
    TraceEnd failed;
    failed.state = "failed";
    failed.error = "gone\n";
    failed.error_code = "peer-closed";
    failed.error_hint = "look there";
    trace.attempts[0].events.push_back(at_ms(600, failed));
    EXPECT_NE(told(trace).find("error:       gone\\x0a [peer-closed]\n"), std::string::npos) << told(trace);
    EXPECT_NE(told(trace).find("what to do:  look there"), std::string::npos);
    trace.attempts.clear();
    EXPECT_NE(told(trace).find("no migration was attempted"), std::string::npos);
}

TEST(TraceTimeline, TimesAreReadable) {
    EXPECT_EQ(format_time(milliseconds(1234)), "1.234 s");
    EXPECT_EQ(format_time(milliseconds(12)), "12.00 ms");
    EXPECT_EQ(format_time(Duration(45600)), "45.6 us");
    EXPECT_EQ(format_time(Duration::zero()), "0.00 ms");
}

std::size_t count(const std::string& text, const std::string& what) {
    std::size_t found = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
        ++found;
    }
    return found;
}

TEST(TraceChart, DrawsTheDataAndTheDowntime) {
    const Trace trace = a_trace();
    const std::string svg = draw_trace(trace.header, trace.attempts[0]);
    EXPECT_EQ(count(svg, "<polyline"), 4U);
    EXPECT_EQ(count(svg, "class=\"downtime\""), 4U);
    EXPECT_NE(svg.find("vm &lt;1&gt;\\x1b"), std::string::npos) << svg;
    EXPECT_TRUE(svg.ends_with("</svg>\n"));
    Trace empty = trace;
    empty.attempts[0].events.resize(1);
    EXPECT_EQ(count(draw_trace(empty.header, empty.attempts[0]), "nothing was recorded"), 4U);
}

TEST(TraceChart, DisksHaveAPanelWhereTheyMove) {
    Trace trace = a_trace();
    const std::string before = draw_trace(trace.header, trace.attempts[0]);
    EXPECT_EQ(before.find("disks"), std::string::npos);
    for (TraceEvent& event : trace.attempts[0].events) {
        if (auto* window = std::get_if<WindowReport>(&event.what)) {
            window->disk = DiskWindow{1 << 19, 1 << 22};
        }
    }
    const std::string svg = draw_trace(trace.header, trace.attempts[0]);
    EXPECT_EQ(count(svg, "<polyline"), 5U);
    EXPECT_EQ(count(svg, "disks: remaining"), 1U);
}

TEST(TraceChart, ALongTraceMakesNoLargerDrawing) {
    TraceAttempt attempt{"source", {}};
    for (int i = 0; i < 100'000; ++i) {
        attempt.events.push_back(at_ms(100 * i, WindowReport{1, 1, 1, milliseconds(100), milliseconds(0)}));
    }
    EXPECT_LT(draw_trace({}, attempt).size(), 100'000U);
}

TEST(SvgWriter, EscapesTexts) {
    EXPECT_EQ(xml_escape("a<b>&\"'\x01\xff"), "a&lt;b&gt;&amp;&quot;&apos;??");
    SvgWriter svg(10, 20, ".a{}");
    svg.polyline({{1, 2}}, "a");
    svg.text({1, 2}, "<&>", "a");
    const std::string text = svg.finish();
    EXPECT_EQ(text.find("polyline"), std::string::npos);
    EXPECT_NE(text.find(">&lt;&amp;&gt;</text>"), std::string::npos);
}

}  // namespace
}  // namespace godwit
