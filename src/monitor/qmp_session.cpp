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
    Json body = {{"class", error_class}, {"desc", error.text()}, {"x-godwit-error-code", to_string(error.code)}};
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
std::string frame_mistake(const Json& request, bool oob) {
    bool has_verb = false;
    for (const auto& [name, value] : request.items()) {
        if (name == "execute" || (oob && name == "exec-oob")) {
            if (!value.is_string()) {
                return fmt::format("QMP input member '{}' must be a string", name);
            }
            if (has_verb) {
                return "QMP input member 'execute' clashes with 'exec-oob'";
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

std::size_t text_bytes(const Result<Json>& input) {
    return input ? to_text(*input).size() : input.error().message.size();
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
    const Json greeting = {{"QMP", {{"version", version_info()}, {"capabilities", Json::array({oob_capability})}}}};
    send_(to_text(greeting) + std::string(line_end));
}

std::size_t QmpSession::receive(std::string_view bytes) {
    return stream_.feed(bytes, [this](Result<Json> input) { return take(std::move(input)); });
}

void QmpSession::notify(std::string_view message) {
    if (negotiated_) {
        full_ = !send_(message);
    }
}

void QmpSession::resume() {
    full_ = false;
    while (!full_ && !waiting_.empty()) {
        const Result<Json> next = std::move(waiting_.front());
        waiting_.pop_front();
        waiting_bytes_ -= text_bytes(next);
        handle(next);
    }
}

bool QmpSession::take(Result<Json> input) {
    if ((!full_ && waiting_.empty()) || is_out_of_band(input)) {
        handle(input);
    } else {
        waiting_bytes_ += text_bytes(input);
        waiting_.push_back(std::move(input));
    }
    return accepts(false);
}

bool QmpSession::is_out_of_band(const Result<Json>& input) const {
    return oob_ && input && input->is_object() && input->contains("exec-oob") && !input->contains("execute");
}

void QmpSession::handle(const Result<Json>& input) {
    if (!input) {
        return answer(generic_error(input.error().message));
    }
    if (!input->is_object()) {
        return answer(generic_error("QMP input must be a JSON object"));
    }
    Json response = respond(*input);
    if (const auto id = input->find("id"); id != input->end()) {
        response["id"] = *id;
    }
    answer(response);
}

void QmpSession::answer(const Json& response) {
    full_ = !send_(to_text(response) + std::string(line_end));
}

Json QmpSession::respond(const Json& request) {
    if (std::string mistake = frame_mistake(request, oob_); !mistake.empty()) {
        return generic_error(std::move(mistake));
    }
    const bool out_of_band = !request.contains("execute");
    const auto given = request.find("arguments");
    return respond_to(request[out_of_band ? "exec-oob" : "execute"].get_ref<const std::string&>(), out_of_band,
                      given == request.end() ? Json::object() : *given);
}

Json QmpSession::respond_to(const std::string& name, bool out_of_band, const Json& arguments) {
    if (!negotiated_ && name != negotiation) {
        return command_not_found(fmt::format("Expecting capabilities negotiation with '{}'", negotiation));
    }
    if (negotiated_ && name == negotiation && !out_of_band) {
        return command_not_found("Capabilities negotiation is already complete, command ignored");
    }
    const Command* command = commands_.find(name);
    if (command == nullptr) {
        return command_not_found(fmt::format("The command {} has not been found", name));
    }
    if (out_of_band && !command->allow_oob) {
        return generic_error(fmt::format("The command {} does not support OOB", name));
    }
    return run(*command, arguments);
}

Json QmpSession::run(const Command& command, const Json& arguments) {
    auto checked = check_arguments(command.arguments, arguments);
    if (!checked) {
        return error_response("GenericError", checked.error());
    }
    auto result = command.handler(arguments, client_);
    if (!result) {
        const bool not_found = result.error().code == ErrorCode::not_found;
        return error_response(not_found ? command.not_found_class : "GenericError", result.error());
    }
    if (command.name == negotiation) {
        negotiated_ = true;
        oob_ = !arguments.value("enable", Json::array()).empty();
    }
    return {{"return", std::move(*result)}};
}

}  // namespace godwit
