#pragma once

#include <rapidcheck.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "godwit/vmstate.h"

namespace godwit::testing {

/// A layout of any shape with the structure that it describes, for property tests: call inside a property.
class RandomLayout {
public:
    RandomLayout() : layout_(make("state")) {
        data_.resize(bytes_);
        fill(layout_, data_.data());
    }

    const VmState& layout() const { return layout_; }
    const std::vector<std::byte>& data() const { return data_; }

private:
    static constexpr std::size_t most_fields = 6;
    static constexpr int deepest = 2;

    /// The first byte is a field always, so that what decides about a subsection has travelled.
    VmState make(const std::string& name) {
        VmState layout(name, *rc::gen::inRange<std::uint32_t>(0, 5));
        layout.add(VmField{"decides", VmFieldKind::u8, 0, 1, 1, nullptr});
        bytes_ = 1;
        add_fields(layout, bytes_, 0);
        const auto subsections = *rc::gen::inRange(0, 3);
        for (int i = 0; i < subsections; ++i) {
            layout.add(VmSubsection{make_subsection(name + "/" + std::to_string(i)), any_need()});
        }
        return layout;
    }
    VmState make_subsection(const std::string& name) {
        VmState layout(name, *rc::gen::inRange<std::uint32_t>(0, 5));
        add_fields(layout, bytes_, 0);
        if (*rc::gen::inRange(0, 4) == 0) {
            layout.add(VmSubsection{make_subsection(name + "/more"), any_need()});
        }
        return layout;
    }
    using Need = bool (*)(const void*);
    static Need any_need() {
        return *rc::gen::element<Need>(
            nullptr, [](const void*) { return false; },
            [](const void* data) { return (*static_cast<const unsigned char*>(data) & 1) != 0; });
    }
    static void add_fields(VmState& layout, std::size_t& bytes, int depth) {
        const auto count = *rc::gen::inRange<std::size_t>(0, most_fields);
        for (std::size_t i = 0; i < count; ++i) {
            bytes += *rc::gen::inRange<std::size_t>(0, 4);  // what a compiler leaves empty, and more
            const VmField field = any_field("f" + std::to_string(i), bytes, depth);
            bytes += field.kind == VmFieldKind::padding ? 0 : field.element_bytes * field.count;
            layout.add(field);
        }
    }
    static VmField any_field(const std::string& name, std::size_t offset, int depth) {
        using enum VmFieldKind;
        const auto kind = *rc::gen::element(u8, u16, u32, u64, i32, i64, boolean, buffer, padding, structure);
        const auto count = *rc::gen::inRange<std::size_t>(1, 4);
        switch (kind) {
            case u16:
                return {name, kind, offset, 2, count, nullptr};
            case u32:
            case i32:
                return {name, kind, offset, 4, count, nullptr};
            case u64:
            case i64:
                return {name, kind, offset, 8, count, nullptr};
            case buffer:
                return {name, kind, offset, *rc::gen::inRange<std::size_t>(1, 40), 1, nullptr};
            case padding:
                return {"unused", kind, 0, *rc::gen::inRange<std::size_t>(1, 40), 1, nullptr};
            case structure:
                return depth < deepest ? any_structure(name, offset, count, depth)
                                       : VmField{name, u8, offset, 1, count, nullptr};
            default:
                return {name, kind, offset, 1, count, nullptr};
        }
    }
    static VmField any_structure(const std::string& name, std::size_t offset, std::size_t count, int depth) {
        VmState nested(name, 1);
        std::size_t bytes = 0;
        add_fields(nested, bytes, depth + 1);
        return {name, VmFieldKind::structure, offset, bytes, count, std::make_shared<const VmState>(std::move(nested))};
    }

    /// Any value for what travels; all else stays zero.
    static void fill(const VmState& layout, std::byte* data) {
        for (const VmField& field : layout.fields()) {
            for (std::size_t i = 0; i < field.count; ++i) {
                std::byte* place = data + field.offset + i * field.element_bytes;
                if (field.kind == VmFieldKind::structure) {
                    fill(*field.nested, place);
                } else if (field.kind == VmFieldKind::boolean) {
                    *place = *rc::gen::element(std::byte{0}, std::byte{1});
                } else if (field.kind != VmFieldKind::padding) {
                    const auto bytes = *rc::gen::container<std::vector<std::uint8_t>>(
                        field.element_bytes, rc::gen::arbitrary<std::uint8_t>());
                    std::memcpy(place, bytes.data(), bytes.size());
                }
            }
        }
        for (const VmSubsection& subsection : layout.subsections()) {
            if (subsection.needed == nullptr || subsection.needed(data)) {
                fill(subsection.state, data);
            }
        }
    }

    std::size_t bytes_ = 0;
    VmState layout_;
    std::vector<std::byte> data_;
};

}  // namespace godwit::testing
