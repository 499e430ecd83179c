#include "options.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

namespace godwit::sim {
namespace {

constexpr const char* usage =
    "simulation: migrations between two simulated nodes on a virtual clock, from seeds\n"
    "  --runs N          as many seeds (default 1000)\n"
    "  --disks N         N seeds of runs in which disks move, or fail\n"
    "  --direct N        N seeds of runs in which pages go past the stream\n"
    "  --race-cancel N   N seeds of runs in which a cancel races against completion and failure\n"
    "  --every-step N    N seeds of short runs, each run again with each disturbance at each step\n"
    "  --first-seed S    beginning with this one (default 1)\n"
    "  --seed N          only this seed (after --disks, --direct, --race-cancel or --every-step: of that kind)\n"
    "  --disturbance D   with --every-step: only this disturbance, by its number\n"
    "  --moment M        with --every-step: only at this step or byte\n"
    "  --seconds T       stop after T seconds, whatever is left\n"
    "  --trace           print what happens\n"
    "  --keep-going K    stop after K failing runs (default 1)\n"
    "  --statistics      count the outcomes\n"
    "  --help            this text\n";

[[noreturn]] void end_with_usage(std::string_view problem) {
    fmt::print(stderr, "simulation: {}\n{}", problem, usage);
    std::exit(2);
}

std::uint64_t number(std::string_view option, const char* text) {
    if (text == nullptr) {
        end_with_usage(fmt::format("{} needs a number", option));
    }
    char* end = nullptr;
    const std::uint64_t value = std::strtoull(text, &end, 10);
    if (end == text || *end != '\0' || *text == '-') {
        end_with_usage(fmt::format("{} needs a number, not {}", option, text));
    }
    return value;
}

/// Whether the option stands alone.
bool set_switch(Options& options, std::string_view name) {
    if (name == "--help") {
        fmt::print("{}", usage);
        std::exit(0);
    }
    if (name == "--trace") {
        return options.trace = true;
    }
    if (name == "--statistics") {
        return options.statistics = true;
    }
    return false;
}

bool set_number(Options& options, std::string_view name, const char* text) {
    if (name == "--runs") {
        options.runs = number(name, text);
    } else if (name == "--disks") {
        options.kind = Options::Kind::disks;
        options.runs = number(name, text);
    } else if (name == "--direct") {
        options.kind = Options::Kind::direct;
        options.runs = number(name, text);
    } else if (name == "--race-cancel") {
        options.kind = Options::Kind::race;
        options.runs = number(name, text);
    } else if (name == "--every-step") {
        options.kind = Options::Kind::every_step;
        options.runs = number(name, text);
    } else if (name == "--first-seed") {
        options.first_seed = number(name, text);
    } else if (name == "--seed") {
        options.seed = number(name, text);
    } else if (name == "--disturbance") {
        options.disturbance = number(name, text);
    } else if (name == "--moment") {
        options.moment = number(name, text);
    } else if (name == "--seconds") {
        options.seconds = static_cast<double>(number(name, text));
    } else if (name == "--keep-going") {
        options.keep_going = number(name, text);
    } else {
        return false;
    }
    return true;
}

}  // namespace

Options parse_options(int count, char** arguments) {
    Options options;
    for (int i = 1; i < count; ++i) {
        const std::string_view name = arguments[i];
        if (set_switch(options, name)) {
            continue;
        }
        if (!set_number(options, name, i + 1 < count ? arguments[i + 1] : nullptr)) {
            end_with_usage(fmt::format("unknown option {}", name));
        }
        ++i;
    }
    return options;
}

}  // namespace godwit::sim
