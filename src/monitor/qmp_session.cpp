#include "monitor/qmp_session.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "godwit/version.h"

namespace godwit {

namespace {

constexpr std::string_view line_end = "\r\n";
constexpr std::string_view negotiation = "qmp_capabilities";

Json error_response(std::string_view error_class, const Error& error) {
    Json body = {{"class", error_class}, {"desc", error.text()}};
    if (!error.hint.empty()) {
        body["x-godwit-hint"] = error.hint;
    }
    return {{"error", std::move(body)}};
}

Json generic_error(std::string message) {
    return error_response("GenericError", Error{ErrorCode::invalid_argument, std::move(message)});
}

Json command_not_found(std::string message) {
    return error_response("CommandNotFound", Error{ErrorCode::not_found, std::move(message)});
}

/// Says what is wrong with the frame of a request, or nothing.
std::string frame_mistake(const Json& request) {
    bool has_verb = false;
    for (const auto& [name, value] : request.items()) {
        if (name == "execute") {
            if (!value.is_string()) {
                return "QMP input member 'execute' must be a string";
            }
            has_verb = true;
        } else if (name == "arguments") {
            if (!value.is_object()) {
                return "QMP input member 'arguments' must be an object";
            }
        } else if (name != "id") {
            return fmt::format("QMP input member '{}' is unexpected", name);
        }
    }
    return has_verb ? "" : "QMP input lacks member 'execute'";
}

}  // namespace

Json version_info() {
    return {{"qemu", {{"major", version_major}, {"minor", version_minor}, {"micro", version_micro}}},
            {"package", fmt::format("godwit {}", version_string)}};
}

std::string event_message(std::string_view name, const Json& data) {
    using namespace std::chrono;
    const auto now = duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
    Json event = {{"event", name}, {"timestamp", {{"seconds", now / 1'000'000}, {"microseconds", now % 1'000'000}}}};
    if (!data.is_null()) {
        event["data"] = data;
    }
    return to_text(event) + std::string(line_end);
}

MonitorProtocol qmp_protocol(const CommandTable& commands) {
    return {
        "qmp",
        [&commands](CommandClient& client, MonitorSession::Send send) {
            return std::make_unique<QmpSession>(commands, client, std::move(send));
        },
        [](std::string_view reason) { return to_text(generic_error(std::string(reason))) + std::string(line_end); }};
}

QmpSession::QmpSession(const CommandTable& commands, CommandClient& client, Send send)
    : commands_(commands), client_(client), send_(std::move(send)) {}

void QmpSession::greet() {
    const Json greeting = {{"QMP", {{"version", version_info()}, {"capabilities", Json::array()}}}};
    send_(to_text(greeting) + std::string(line_end));
}

std::size_t QmpSession::receive(std::string_view bytes) {
    return stream_.feed(bytes, [this](Result<Json> input) { return handle(std::move(input)); });
}

void QmpSession::notify(std::string_view message) {
    if (negotiated_) {
        send_(message);
    }
}

bool QmpSession::handle(Result<Json> input) {
    Json response;
    if (!input) {
        response = generic_error(input.error().message);
    } else if (!input->is_object()) {
        response = generic_error("QMP input must be a JSON object");
    } else {
        response = respond(*input);
        if (const auto id = input->find("id"); id != input->end()) {
            response["id"] = *id;
        }
    }
    return send_(to_text(response) + std::string(line_end));
}

Json QmpSession::respond(const Json& request) {
    if (std::string mistake = frame_mistake(request); !mistake.empty()) {
        return generic_error(std::move(mistake));
    }
    const auto& name = request["execute"].get_ref<const std::string&>();
    if (!negotiated_ && name != negotiation) {
        return command_not_found(fmt::format("Expecting capabilities negotiation with '{}'", negotiation));
    }
    if (negotiated_ && name == negotiation) {
        return command_not_found("Capabilities negotiation is already complete, command ignored");
    }
    const Command* command = commands_.find(name);
    if (command == nullptr) {
        return command_not_found(fmt::format("The command {} has not been found", name));
    }
    const auto given = request.find("arguments");
    return run(*command, given == request.end() ? Json::object() : *given);
}

Json QmpSession::run(const Command& command, const Json& arguments) {
    auto checked = check_arguments(command.arguments, arguments);
    if (!checked) {
        return error_response("GenericError", checked.error());
    }
    auto result = command.handler(arguments, client_);
    if (!result) {
        return error_response("GenericError", result.error());
    }
    if (command.name == negotiation) {
        negotiated_ = true;
    }
    return {{"return", std::move(*result)}};
}

}  // namespace godwit
