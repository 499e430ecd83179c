#include "cli/object_argument.h"

#include <gtest/gtest.h>

#include "io/test_support.h"

namespace godwit {
namespace {

TEST(ObjectArgument, IsWrittenAsForQemu) {
    const auto credentials =
        parse_object_argument("tls-creds-x509,id=tls0,dir=/etc/a,,b,endpoint=server,verify-peer=off");
    ASSERT_OK(credentials);
    EXPECT_EQ(*credentials, Json({{"qom-type", "tls-creds-x509"},
                                  {"id", "tls0"},
                                  {"dir", "/etc/a,b"},
                                  {"endpoint", "server"},
                                  {"verify-peer", false}}));
    const auto list = parse_object_argument(
        "authz-list,id=z,policy=deny,rules.0.match=O=x,,CN=*,rules.0.policy=allow,rules.0.format=glob,rules.1.match=b,"
        "rules.1.policy=deny");
    ASSERT_OK(list);
    EXPECT_EQ((*list)["rules"][0]["match"], "O=x,CN=*");
    EXPECT_EQ((*list)["rules"][1]["policy"], "deny");
}

TEST(ObjectArgument, RefusesWhatIsMalformed) {
    for (const char* text : {"authz-list,id", "authz-list,=x", "authz-list,id=a,id=b", "authz-list,qom-type=x",
                             "authz-list,rules.x.match=a", "authz-list,rules.1.match=a", "authz-list,rules.0=a",
                             "authz-list,rules=x,rules.0.match=y", "authz-list,rules.0.match=y,rules=x",
                             "authz-list,rules.99999999999999999999.match=a"}) {
        EXPECT_CODE(parse_object_argument(text), ErrorCode::invalid_argument);
    }
}

}  // namespace
}  // namespace godwit
