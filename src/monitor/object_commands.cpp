#include "monitor/object_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace godwit {

namespace {

constexpr std::string_view x509 = "tls-creds-x509";
constexpr std::string_view psk = "tls-creds-psk";
constexpr std::string_view simple = "authz-simple";
constexpr std::string_view list = "authz-list";
constexpr std::size_t max_rules = 1024;

/// A member of object-add, and the kinds that have it.
struct Property {
    Argument argument;
    std::vector<std::string_view> kinds;
};

Argument word(const char* name, std::vector<std::string> words, const char* help) {
    Argument argument{name, ArgumentType::string, true, help};
    argument.words = std::move(words);
    return argument;
}

Argument rule_list() {
    Argument match{"match", ArgumentType::string, false, "a distinguished name"};
    Argument policy = word("policy", {"deny", "allow"}, "what is decided where it fits");
    policy.optional = false;
    const Argument format = word("format", {"exact", "glob"}, "glob: with * and ?");
    return {"rules",
            ArgumentType::array,
            true,
            "of authz-list: the first that fits decides",
            {{"", ArgumentType::object, false, "", {match, policy, format}}}};
}

const std::vector<Property>& properties() {
    static const std::vector<Property> all{
        {{"dir", ArgumentType::string, true, "of tls-creds-*: the directory of the files"}, {x509, psk}},
        {word("endpoint", {"client", "server"},
              "of tls-creds-*: client for sources (default), server for destinations"),
         {x509, psk}},
        {{"verify-peer", ArgumentType::boolean, true,
          "of a tls-creds-x509 server: sources need a certificate (default); tls-creds-psk ignores it"},
         {x509, psk}},
        {{"priority", ArgumentType::string, true, "of tls-creds-*: GnuTLS's priority string, default NORMAL"},
         {x509, psk}},
        {{"sanity-check", ArgumentType::boolean, true, "of tls-creds-x509: refuse own certificates out of their time"},
         {x509}},
        {{"username", ArgumentType::string, true, "of a tls-creds-psk client: the line of keys.psk, default qemu"},
         {psk}},
        {{"identity", ArgumentType::string, true, "of authz-simple: the one distinguished name that is welcome"},
         {simple}},
        {word("policy", {"deny", "allow"}, "of authz-list: what is decided where no rule fits, default deny"), {list}},
        {rule_list(), {list}},
    };
    return all;
}

std::vector<Argument> schema() {
    std::vector<Argument> arguments{{"qom-type", ArgumentType::string, false, "the kind of object"},
                                    {"id", ArgumentType::string, false, "its name"}};
    for (const std::string_view kind : {x509, psk, simple, list}) {
        arguments.front().words.emplace_back(kind);
    }
    for (const Property& property : properties()) {
        arguments.push_back(property.argument);
    }
    return arguments;
}

/// The schema has the members of all kinds.
Status check_members_of(const std::string& kind, const Json& arguments) {
    for (const Property& property : properties()) {
        const bool belongs = std::find(property.kinds.begin(), property.kinds.end(), kind) != property.kinds.end();
        if (arguments.contains(property.argument.name) && !belongs) {
            return fail(ErrorCode::invalid_argument,
                        fmt::format("Parameter '{}' is unexpected", property.argument.name));
        }
    }
    return {};
}

TlsCredentialsSpec credentials_spec(const Json& arguments) {
    TlsCredentialsSpec spec;
    spec.kind = arguments["qom-type"] == x509 ? TlsKind::x509 : TlsKind::psk;
    spec.dir = arguments.value("dir", "");
    spec.endpoint = arguments.value("endpoint", "client") == "server" ? TlsEndpoint::server : TlsEndpoint::client;
    spec.verify_peer = arguments.value("verify-peer", spec.verify_peer);
    spec.username = arguments.value("username", spec.username);
    spec.priority = arguments.value("priority", "");
    spec.sanity_check = arguments.value("sanity-check", spec.sanity_check);
    return spec;
}

Result<TlsObjects::Object> make_authorization(const Json& arguments) {
    if (arguments["qom-type"] == simple) {
        if (!arguments.contains("identity")) {
            return fail(ErrorCode::invalid_argument, "Parameter 'identity' is missing");
        }
        return std::make_shared<const TlsAuthorization>(
            std::vector<TlsAuthorization::Rule>{{arguments["identity"].get<std::string>()}}, false);
    }
    std::vector<TlsAuthorization::Rule> rules;
    if (arguments.contains("rules")) {
        if (arguments["rules"].size() > max_rules) {
            return fail(ErrorCode::invalid_argument, fmt::format("Parameter 'rules' has more than {}", max_rules));
        }
        for (const Json& rule : arguments["rules"]) {
            rules.push_back(
                {rule["match"].get<std::string>(), rule["policy"] == "allow", rule.value("format", "exact") == "glob"});
        }
    }
    return std::make_shared<const TlsAuthorization>(std::move(rules), arguments.value("policy", "deny") == "allow");
}

Result<TlsObjects::Object> make_object(const Json& arguments, Log& log) {
    if (arguments["qom-type"] == simple || arguments["qom-type"] == list) {
        return make_authorization(arguments);
    }
    auto credentials = TlsCredentials::load(credentials_spec(arguments));
    if (!credentials) {
        return fail(credentials.error());
    }
    for (const std::string& warning : (*credentials)->warnings()) {
        log.write(LogLevel::warning, warning);
    }
    return std::move(*credentials);
}

Result<Json> done(const Status& status) {
    if (!status) {
        return fail(status.error());
    }
    return Json::object();
}

}  // namespace

Status add_object(TlsObjects& objects, const Json& arguments, Log& log) {
    if (Status fits = check_arguments(schema(), arguments); !fits) {
        return fits;
    }
    if (Status belongs = check_members_of(arguments["qom-type"].get<std::string>(), arguments); !belongs) {
        return belongs;
    }
    auto object = make_object(arguments, log);
    if (!object) {
        return fail(object.error());
    }
    return objects.add(arguments["id"].get<std::string>(), std::move(*object));
}

void add_object_commands(CommandTable& commands, TlsObjects& objects, Log& log) {
    commands.add({"object-add", "Makes TLS credentials, or a list of who is welcome by TLS.", schema(),
                  [&objects, &log](const Json& arguments, CommandClient&) {
                      return done(add_object(objects, arguments, log));
                  }});
    commands.add({"object-del",
                  "Removes what object-add made; a migration that uses it goes on.",
                  {{"id", ArgumentType::string, false, "its name"}},
                  [&objects](const Json& arguments, CommandClient&) {
                      return done(objects.remove(arguments["id"].get<std::string>()));
                  }});
}

}  // namespace godwit
