#include "io/disk_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/disk_testing.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;

TEST(DiskSpecTest, TakesApartWhatTheCommandLineSays) {
    const auto file = parse_disk_spec("id=d0,file=/images/a.img");
    ASSERT_OK(file);
    EXPECT_EQ(file->name, "d0");
    EXPECT_EQ(file->file, "/images/a.img");
    EXPECT_EQ(file->nbd, "");
    EXPECT_FALSE(file->read_only);

    const auto overlay = parse_disk_spec("base=b,readonly,file=t,id=Disk_1.x-y,test-fault=flush:1:5+read:0:delay=3");
    ASSERT_OK(overlay);
    EXPECT_EQ(overlay->name, "Disk_1.x-y");
    EXPECT_EQ(overlay->base, "b");
    EXPECT_TRUE(overlay->read_only);
    EXPECT_EQ(overlay->faults.size(), 2U);

    const auto nbd = parse_disk_spec("id=d,nbd=nbd+unix:///name?socket=/run/a,,b=c,readonly=off");
    ASSERT_OK(nbd);
    EXPECT_EQ(nbd->nbd, "nbd+unix:///name?socket=/run/a,b=c");
    EXPECT_FALSE(nbd->read_only);
    EXPECT_TRUE(parse_disk_spec("id=d,file=f,readonly=on")->read_only);
}

TEST(DiskSpecTest, CommasWithinValuesAreDoubled) {
    EXPECT_EQ(parse_disk_spec("file=a,,b,,,,c,id=d")->file, "a,b,,c");
    EXPECT_EQ(parse_disk_spec("file=a,,,id=d")->file, "a,");
}

TEST(DiskSpecTest, RefusesWhatMakesNoSense) {
    const std::string longest(64, 'n');
    EXPECT_OK(parse_disk_spec("id=" + longest + ",file=f"));
    for (const auto& [text, says] : std::vector<std::pair<std::string, const char*>>{
             {"", "needs an id"},
             {"file=f", "needs an id"},
             {"id=d", "a file or an nbd"},
             {"id=d,file=f,nbd=nbd://h", "either"},
             {"id=d,nbd=nbd://h,base=b", "base"},
             {"id=d,file=f,file=g", "twice"},
             {"id=d,file=f,readonly,readonly=off", "twice"},
             {"id=d,file=f,format=raw", "no option 'format'"},
             {"id=d,file", "needs a value"},
             {"id=d,file=", "needs a value"},
             {"id=d,file=f,readonly=yes", "neither on nor off"},
             {"id=d,file=f,readonly=", "needs a value"},
             {"id=a b,file=f", "id 'a b'"},
             {"id=a/b,file=f", "id 'a/b'"},
             {"id=" + longest + "n,file=f", "1 to 64"},
             {"id=d,file=f,test-fault=flush", "fault rule"},
             {",id=d,file=f", "needs a value"},
         }) {
        const auto spec = parse_disk_spec(text);
        EXPECT_CODE(spec, ErrorCode::invalid_argument);
        EXPECT_THAT(spec.error().text(), HasSubstr(says)) << text;
    }
}

TEST(DiskSpecTest, NamesAreUnique) {
    std::vector<DiskSpec> disks{*parse_disk_spec("id=a,file=f"), *parse_disk_spec("id=b,file=f")};
    EXPECT_OK(check_disk_names(disks));
    disks.push_back(disks.front());
    EXPECT_CODE(check_disk_names(disks), ErrorCode::invalid_argument);
}

TEST(DiskSpecTest, OpensEveryKindOfDisk) {
    const TemporaryDirectory directory;
    const MonotonicClock clock;
    RecordingLog log;
    const std::string base = file_with(directory / "base", pattern(mebibyte, 1));
    auto raw = open_disk(*parse_disk_spec("id=d,readonly,file=" + base), clock, log);
    ASSERT_OK(raw);
    EXPECT_TRUE((*raw)->is_read_only());
    auto overlay = open_disk(*parse_disk_spec("id=d,file=" + (directory / "top") + ",base=" + base), clock, log);
    ASSERT_OK(overlay);
    EXPECT_EQ((*overlay)->extent_at(DiskOffset(0))->content, DiskContent::base);
    auto faulty = open_disk(*parse_disk_spec("id=d,test-fault=flush:1:EIO,file=" + base), clock, log);
    ASSERT_OK(faulty);
    auto queue = (*faulty)->open_queue();
    ASSERT_OK(queue);
    EXPECT_CODE(complete(**queue, request(BlockRequest::Kind::flush)), ErrorCode::disk);
    EXPECT_OK(complete(**queue, request(BlockRequest::Kind::flush)));
    EXPECT_CODE(open_disk(*parse_disk_spec("id=d,file=" + (directory / "missing")), clock, log), ErrorCode::disk);
    EXPECT_CODE(open_disk(*parse_disk_spec("id=d,nbd=nbd+unix:///?socket=" + (directory / "missing")), clock, log),
                ErrorCode::disk);
}

}  // namespace
}  // namespace godwit
