#include "io/shown_text.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

TEST(ShownText, OfACommandTheProgram) {
    EXPECT_EQ(shown_command("openssl enc -aes-256-ctr -k geheim"), "openssl ...");
    EXPECT_EQ(shown_command("  /usr/bin/zstd -d < file"), "/usr/bin/zstd ...");
    EXPECT_EQ(shown_command("cat"), "cat");
    EXPECT_EQ(shown_command("cat "), "cat");
    EXPECT_EQ(shown_command("KEY=geheim openssl enc"), "...");
    EXPECT_EQ(shown_command("'a program' geheim"), "...");
    EXPECT_EQ(shown_command("(echo geheim; cat)"), "...");
    EXPECT_EQ(shown_command(" \t"), "...");
    EXPECT_EQ(shown_command(""), "...");
}

TEST(ShownText, OfAUriAllButThePassword) {
    EXPECT_EQ(shown_uri("nbd://user:geheim@host:10809/name"), "nbd://user:***@host:10809/name");
    EXPECT_EQ(shown_uri("nbds://user:ge@heim@host"), "nbds://user:***@host");
    EXPECT_EQ(shown_uri("nbd://:geheim@host?x=y"), "nbd://:***@host?x=y");
    for (const char* harmless : {"nbd://host:10809/name", "nbd://user@host:1/n", "nbd+unix:///name?socket=/a:b@c",
                                 "nbd://host/a:b@c", "no uri", ""}) {
        EXPECT_EQ(shown_uri(harmless), harmless);
    }
}

}  // namespace
}  // namespace godwit
