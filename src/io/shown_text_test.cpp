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
                                 "nbd://host/a:b@c", "nbd://[::1]:10809/a@b", "nbd://user@[::1]/x"}) {
        EXPECT_EQ(shown_uri(harmless), harmless);
    }
}

TEST(ShownText, OfAUriThatIsNotClearTheScheme) {
    for (const char* unclear :
         {"nbd://user:ge/heim@host/x", "nbd://user:12/geheim@host:1/x", "nbd://user:ge?heim@host", "nbd://user:geheim",
          "nbd://user:geheim@host:99x/x", "nbd://user:geheim@host/geheim@x", "nbd:user:geheim@host"}) {
        EXPECT_EQ(shown_uri(unclear), "nbd:...") << unclear;
        EXPECT_EQ(shown_words("geheim", unclear).find("geheim"), std::string::npos);
    }
    EXPECT_EQ(shown_uri("nbd+unix:geheim"), "nbd+unix:...");
    EXPECT_EQ(shown_uri("://user:geheim@host"), "...");
    EXPECT_EQ(shown_uri("ge heim:x@host"), "...");
    EXPECT_EQ(shown_uri("geheim"), "...");
    EXPECT_EQ(shown_uri(""), "...");
}

TEST(ShownText, OfALibrarysWordsNothingOfThePassword) {
    const std::string uri = "nbd://user:ge heim@host/x";
    EXPECT_EQ(shown_words("cannot parse " + uri + ": " + uri + " is none", uri),
              "cannot parse nbd://user:***@host/x: nbd://user:***@host/x is none");
    EXPECT_EQ(shown_words("refused", uri), "refused");
    EXPECT_EQ(shown_words("", uri), "");
}

}  // namespace
}  // namespace godwit
