// `godwit trace` on any file. First byte: in pieces of what size.
#include <algorithm>
#include <string_view>

#include "base/assert.h"
#include "base/printable.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "tools/trace_chart.h"
#include "tools/trace_reader.h"
#include "tools/trace_timeline.h"

namespace godwit::fuzz {
namespace {

Result<Trace> read(std::string_view text, std::size_t piece) {
    TraceReader reader;
    for (std::size_t at = 0; at < text.size(); at += piece) {
        if (Status fed = reader.feed(text.substr(at, piece)); !fed) {
            return fail(fed.error());
        }
    }
    return reader.finish();
}

void check_drawing(const std::string& svg) {
    GODWIT_ASSERT(svg.starts_with("<?xml") && svg.ends_with("</svg>\n"), "no whole drawing");
    GODWIT_ASSERT(std::all_of(svg.begin(), svg.end(), [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }),
                  "a drawing with odd characters");
    // No text of the trace may open an element: each line begins one, and nothing else does but the text's end.
    for (std::size_t at = svg.find('\n'); at + 1 < svg.size(); at = svg.find('\n', at + 1)) {
        GODWIT_ASSERT(svg[at + 1] == '<', "a line that begins no element");
    }
    for (std::size_t at = svg.find("points=\""); at != std::string::npos; at = svg.find("points=\"", at + 1)) {
        const std::string points = svg.substr(at + 8, svg.find('"', at + 8) - at - 8);
        GODWIT_ASSERT(points.find_first_not_of("0123456789.,- ") == std::string::npos, "a point that is no number: {}",
                      points);
    }
}

}  // namespace
}  // namespace godwit::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit;
    using namespace godwit::fuzz;
    Input input(data, size);
    const std::size_t piece = std::size_t{1} + input.choice();
    const auto bytes = input.rest();
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const Result<Trace> trace = read(text, piece);
    if (!trace) {
        GODWIT_ASSERT(printable(trace.error().message) == trace.error().message, "an error that is not fit to print");
        return 0;
    }
    for (const bool every_window : {false, true}) {
        tell_trace(*trace, {.every_window = every_window}, [](const std::string& line) {
            GODWIT_ASSERT(printable(line) == line, "a line that is not fit to print");
        });
    }
    for (std::size_t i = 0; i < std::min<std::size_t>(trace->attempts.size(), 4); ++i) {
        check_drawing(draw_trace(trace->header, trace->attempts[i]));
    }
    return 0;
}
