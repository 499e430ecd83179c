// The table in docs/errors.md is made of the table of codes; this keeps it so. To write it anew after a change:
//   GODWIT_WRITE_DOCUMENTS=1 build/release/tests/unit-tests --gtest_filter='ErrorsDocument.*'
#include "godwit/error_table.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace godwit {
namespace {

std::string read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

std::string table() {
    std::string text = "| number | code | what it means | what to do |\n|---:|---|---|---|\n";
    for (const ErrorInfo& info : error_table()) {
        text += fmt::format("| {} | `{}` | {} | {} |\n", static_cast<unsigned>(info.code), info.name, info.meaning,
                            info.remedy);
    }
    return text;
}

/// The document with its table replaced; the prose around it is kept.
std::string with_table(const std::string& document) {
    const std::size_t begin = document.find("| number |");
    const std::size_t end = document.find("\n\n", begin);
    if (begin == std::string::npos || end == std::string::npos) {
        return "no table between prose was found";
    }
    return document.substr(0, begin) + table() + document.substr(end + 1);
}

TEST(ErrorsDocument, HasWhatTheTableSays) {
    const std::string path = GODWIT_SOURCE_DIR "/docs/errors.md";
    const std::string written = read(path);
    if (std::getenv("GODWIT_WRITE_DOCUMENTS") != nullptr) {
        std::ofstream(path) << with_table(written);
        return;
    }
    EXPECT_EQ(written, with_table(written)) << "the head of this test says how to write it anew";
}

TEST(ErrorTable, HasEachCodeOfTheHeaderByItsNameAndNumber) {
    const std::string header = read(GODWIT_SOURCE_DIR "/include/godwit/error.h");
    const std::regex enumerator(R"(\n    (\w+) = (\d+),)");
    std::set<std::string> declared;
    for (std::sregex_iterator it(header.begin(), header.end(), enumerator), end; it != end; ++it) {
        std::string name = (*it)[1];
        std::ranges::replace(name, '_', '-');
        declared.insert(fmt::format("{} {}", (*it)[2].str(), name));
    }
    std::set<std::string> listed;
    for (const ErrorInfo& info : error_table()) {
        listed.insert(fmt::format("{} {}", static_cast<unsigned>(info.code), info.name));
    }
    EXPECT_GT(declared.size(), 30U);
    EXPECT_EQ(declared, listed);
}

TEST(ErrorTable, SaysOfEachCodeWhatItMeansAndWhatToDo) {
    for (const ErrorInfo& info : error_table()) {
        EXPECT_GT(info.meaning.size(), 10U) << info.name;
        EXPECT_GT(info.remedy.size(), 10U) << info.name;
        EXPECT_EQ((std::string(info.meaning) + std::string(info.remedy)).find_first_of("|[\n"), std::string::npos)
            << info.name << ": would break the document's table";
    }
}

TEST(ErrorTable, IsSearchedByNameAndByNumber) {
    ASSERT_NE(find_error("handover-unknown"), nullptr);
    EXPECT_EQ(find_error("handover-unknown")->code, ErrorCode::handover_unknown);
    EXPECT_EQ(find_error("62"), find_error("handover-unknown"));
    for (const char* const unknown : {"", "0", "62x", "65598", "-1", "handover_unknown", "Internal"}) {
        EXPECT_EQ(find_error(unknown), nullptr) << unknown;
    }
}

TEST(ErrorTable, GivesNamesAndTakesNumbersOfPeers) {
    for (const ErrorInfo& info : error_table()) {
        EXPECT_EQ(to_string(info.code), info.name);
        EXPECT_EQ(error_code_from_wire(static_cast<std::uint16_t>(info.code)), info.code);
    }
    EXPECT_EQ(error_code_from_wire(0), ErrorCode::peer_failed);
    EXPECT_EQ(error_code_from_wire(65535), ErrorCode::peer_failed);
}

}  // namespace
}  // namespace godwit
