#include "monitor/hmp_info.h"

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace godwit {

namespace {

std::string text_of(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// A member that is an object, or an empty one.
const Json& object_of(const Json& object, const char* name) {
    static const Json empty = Json::object();
    const auto found = object.find(name);
    return found != object.end() && found->is_object() ? *found : empty;
}

enum class Form {
    plain,
    kbytes,          ///< bytes, shown in units of 1024
    hundredths,      ///< two digits after the point
    unless_zero,     ///< plain, without a line for 0
    kbytes_or_none,  ///< kbytes, without a line for 0 bytes
};

/// A member of the answer and its line.
struct Figure {
    const char* member = "";
    const char* label = "";
    const char* unit = "";
    Form form = Form::plain;
};

std::string line(const Json& object, const Figure& figure) {
    const auto found = object.find(figure.member);
    if (found == object.end() || !found->is_number()) {
        return {};
    }
    if (figure.form == Form::hundredths) {
        return fmt::format("{}: {:.2f}{}\n", figure.label, found->get<double>(), figure.unit);
    }
    const auto value = found->get<std::uint64_t>();
    if (value == 0 && (figure.form == Form::unless_zero || figure.form == Form::kbytes_or_none)) {
        return {};
    }
    const bool kbytes = figure.form == Form::kbytes || figure.form == Form::kbytes_or_none;
    return fmt::format("{}: {}{}\n", figure.label, kbytes ? value >> 10 : value, figure.unit);
}

std::string lines(const Json& object, std::initializer_list<Figure> figures) {
    std::string text;
    for (const Figure& figure : figures) {
        text += line(object, figure);
    }
    return text;
}

std::string blockers(const Json& report) {
    const auto reasons = report.find("blocked-reasons");
    if (reasons == report.end() || !reasons->is_array() || reasons->empty()) {
        return {};
    }
    std::string text = "Outgoing migration blocked:\n";
    for (const Json& reason : *reasons) {
        text += reason.is_string() ? fmt::format("  {}\n", reason.get_ref<const std::string&>()) : "";
    }
    return text;
}

std::string state(const Json& report) {
    const std::string status = text_of(report, "status");
    if (status.empty()) {
        return {};
    }
    const std::string error = text_of(report, "error-desc");
    return error.empty() ? fmt::format("Migration status: {}\n", status)
                         : fmt::format("Migration status: {} ({})\n", status, error);
}

std::string memory(const Json& ram) {
    return lines(ram,
                 {{"transferred", "transferred ram", " kbytes", Form::kbytes},
                  {"mbps", "throughput", " mbps", Form::hundredths},
                  {"remaining", "remaining ram", " kbytes", Form::kbytes},
                  {"total", "total ram", " kbytes", Form::kbytes},
                  {"duplicate", "duplicate", " pages"},
                  {"skipped", "skipped", " pages"},
                  {"normal", "normal", " pages"},
                  {"normal-bytes", "normal bytes", " kbytes", Form::kbytes},
                  {"dirty-sync-count", "dirty sync count"},
                  {"page-size", "page size", " kbytes", Form::kbytes},
                  {"multifd-bytes", "multifd bytes", " kbytes", Form::kbytes},
                  {"pages-per-second", "pages-per-second"},
                  {"dirty-pages-rate", "dirty pages rate", " pages", Form::unless_zero},
                  {"postcopy-requests", "postcopy request count", "", Form::unless_zero},
                  {"precopy-bytes", "precopy ram", " kbytes", Form::kbytes_or_none},
                  {"downtime-bytes", "downtime ram", " kbytes", Form::kbytes_or_none},
                  {"postcopy-bytes", "postcopy ram", " kbytes", Form::kbytes_or_none},
                  {"dirty-sync-missed-zero-copy", "Zero-copy-send fallbacks happened", " times", Form::unless_zero}});
}

std::string disk(const Json& figures) {
    return lines(figures, {{"transferred", "transferred disk", " kbytes", Form::kbytes},
                           {"remaining", "remaining disk", " kbytes", Form::kbytes},
                           {"total", "total disk", " kbytes", Form::kbytes}});
}

std::string cache(const Json& figures) {
    return lines(figures, {{"cache-size", "cache size", " bytes"},
                           {"bytes", "xbzrle transferred", " kbytes", Form::kbytes},
                           {"pages", "xbzrle pages", " pages"},
                           {"cache-miss", "xbzrle cache miss", " pages"},
                           {"cache-miss-rate", "xbzrle cache miss rate", "", Form::hundredths},
                           {"encoding-rate", "xbzrle encoding rate", "", Form::hundredths},
                           {"overflow", "xbzrle overflow"}});
}

/// A QEMU does not tell this.
std::string rdma(const Json& figures) {
    const auto pin_all = figures.find("pin-all");
    const bool known = pin_all != figures.end() && pin_all->is_boolean();
    const auto transport = figures.find("transport");
    const bool named = transport != figures.end() && transport->is_string();
    return (named ? fmt::format("rdma transport: {}\n", transport->get<std::string>()) : "") +
           lines(figures, {{"registrations", "rdma registrations"},
                           {"registered", "rdma registered", " kbytes", Form::kbytes}}) +
           (known ? fmt::format("rdma pin all: {}\n", pin_all->get<bool>() ? "on" : "off") : "");
}

std::string compression(const Json& figures) {
    return lines(figures, {{"pages", "compression pages", " pages"},
                           {"busy", "compression busy"},
                           {"busy-rate", "compression busy rate", "", Form::hundredths},
                           {"compressed-size", "compressed size", " kbytes", Form::kbytes},
                           {"compression-rate", "compression rate", "", Form::hundredths}});
}

std::string address(const Json& socket) {
    if (!socket.is_object()) {
        return {};
    }
    const std::string type = text_of(socket, "type");
    if (type == "inet") {
        return fmt::format("\ttcp:{}:{}\n", text_of(socket, "host"), text_of(socket, "port"));
    }
    if (type == "unix") {
        return fmt::format("\tunix:{}\n", text_of(socket, "path"));
    }
    return fmt::format("\t{}\n", type);
}

std::string addresses(const Json& report) {
    const auto list = report.find("socket-address");
    if (list == report.end() || !list->is_array()) {
        return {};
    }
    std::string text = "socket address: [\n";
    for (const Json& socket : *list) {
        text += address(socket);
    }
    return text + "]\n";
}

std::string rates_of_cpus(const Json& report) {
    const auto list = report.find("vcpu-dirty-rate");
    if (list == report.end() || !list->is_array()) {
        return {};
    }
    std::string text;
    for (const Json& cpu : *list) {
        if (cpu.is_object() && cpu.contains("id") && cpu.contains("dirty-rate")) {
            text += fmt::format("vcpu[{}], Dirty rate: {} (MB/s)\n", to_text(cpu["id"]), to_text(cpu["dirty-rate"]));
        }
    }
    return text;
}

}  // namespace

std::string migration_text(const Json& report) {
    std::string text = blockers(report) + state(report);
    text += lines(report, {{"total-time", "total time", " ms"},
                           {"expected-downtime", "expected downtime", " ms"},
                           {"downtime", "downtime", " ms"},
                           {"setup-time", "setup", " ms"}});
    text += memory(object_of(report, "ram"));
    text += disk(object_of(report, "disk"));
    text += cache(object_of(report, "xbzrle-cache"));
    text += rdma(object_of(report, "rdma"));
    text += compression(object_of(report, "compression"));
    text += lines(
        report, {{"cpu-throttle-percentage", "cpu throttle percentage"}, {"postcopy-blocktime", "postcopy blocktime"}});
    return text + addresses(report);
}

std::string capabilities_text(const Json& list) {
    std::string text;
    for (const Json& entry : list) {
        text += fmt::format("{}: {}\n", text_of(entry, "capability"), entry.value("state", false) ? "on" : "off");
    }
    return text;
}

std::string dirty_rate_text(const Json& report) {
    std::string text = fmt::format("Status: {}\n", text_of(report, "status"));
    text += lines(report, {{"start-time", "Start Time", " (sec)"},
                           {"sample-pages", "Sample Pages", " (per GB)"},
                           {"calc-time", "Period", " (sec)"}});
    text += fmt::format("Mode: {}\n", text_of(report, "mode"));
    const std::string rate = line(report, {"dirty-rate", "Dirty rate", " (MB/s)"});
    return text + (rate.empty() ? "Dirty rate: (not ready)\n" : rate) + rates_of_cpus(report);
}

std::string disks_text(const Json& list) {
    std::string text;
    for (const Json& disk : list) {
        const Json& inserted = object_of(disk, "inserted");
        text += fmt::format("{}{}: {} ({}{})\n", text.empty() ? "" : "\n", text_of(disk, "device"),
                            text_of(inserted, "file"), text_of(inserted, "drv"),
                            inserted.value("ro", false) ? ", read-only" : "");
        text += line(object_of(inserted, "image"), {"virtual-size", "    Size", " bytes"});
    }
    return text;
}

std::string status_text(const Json& status) {
    const std::string name = text_of(status, "status");
    if (name == "running" || name == "paused") {
        return fmt::format("VM status: {}\n", name);
    }
    return fmt::format("VM status: {} ({})\n", status.value("running", false) ? "running" : "paused", name);
}

std::string version_text(const Json& version) {
    return fmt::format("{}\n", text_of(version, "package"));
}

std::string name_text(const Json& name) {
    const std::string text = text_of(name, "name");
    return text.empty() ? "" : text + "\n";
}

}  // namespace godwit
