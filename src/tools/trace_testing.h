#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/log.h"
#include "tools/trace_reader.h"

namespace godwit::testing {

/// A directory that goes with its owner.
class TraceDirectory {
public:
    TraceDirectory() {
        std::string path = (std::filesystem::temp_directory_path() / "godwit-trace-XXXXXX").string();
        path_ = ::mkdtemp(path.data());
    }
    ~TraceDirectory() { std::filesystem::remove_all(path_); }
    TraceDirectory(const TraceDirectory&) = delete;
    TraceDirectory& operator=(const TraceDirectory&) = delete;
    std::string operator/(const char* name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_;
};

class LogLines : public Log {
public:
    void write(LogLevel, std::string_view line) override { lines.emplace_back(line); }
    std::vector<std::string> lines;
};

inline std::string content_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline Result<Trace> read_trace(std::string_view text) {
    TraceReader reader;
    if (Status fed = reader.feed(text); !fed) {
        return fail(fed.error());
    }
    return reader.finish();
}

inline const std::string trace_header =
    R"({"godwit_trace":1,"name":"vm1","role":"source","t_ns":5,"version":"0.1.0","wall_clock":"2026-01-02T03:04:05.678Z"})"
    "\n";

}  // namespace godwit::testing
