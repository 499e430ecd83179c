#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace godwit {

/// How one field of a device's state travels. Integers are big-endian, a bool is one byte, a buffer is raw, padding is
/// zeros that are ignored on arrival (QEMU's "unused_buffer"), a structure is its fields without a header, followed by
/// its subsections. A counted buffer is its length (u32) and that many raw bytes. A check travels not at all: on
/// arrival it judges the fields before it, where what follows can only be read if they are as expected.
enum class VmFieldKind { u8, u16, u32, u64, i32, i64, boolean, buffer, padding, structure, counted_buffer, check };

class VmState;

/// One field: where it lies in the plain structure that holds the device's state, and what it is called.
struct VmField {
    std::string name;
    VmFieldKind kind = VmFieldKind::u8;
    /// Byte position within the structure.
    std::size_t offset = 0;
    /// Bytes of one element, in memory and on the wire (for `structure`: in memory).
    std::size_t element_bytes = 1;
    /// Number of elements.
    std::size_t count = 1;
    /// Layout of a `structure`.
    std::shared_ptr<const VmState> nested;
    /// Where the u32 lies that says how many bytes of a `counted_buffer` are in use; `element_bytes` is the room.
    std::size_t length_offset = 0;
    /// Of a `check`, whose name says what must hold: given the structure, whether it does. Thread of the load.
    bool (*holds)(const void* data) = nullptr;
};

/// Fields that travel only when `needed` says so; the receiver recognises them by name.
struct VmSubsection;

/// The layout of a device's state, in QEMU's format: written once, it saves, loads and describes itself.
/// It speaks about a plain structure `S`; a device copies its state into one before saving and out of one after
/// loading.
class VmState {
public:
    VmState(std::string name, std::uint32_t version);

    const std::string& name() const { return name_; }
    std::uint32_t version() const { return version_; }
    const std::vector<VmField>& fields() const { return fields_; }
    const std::vector<VmSubsection>& subsections() const { return subsections_; }

    VmState& add(VmField field) {
        fields_.push_back(std::move(field));
        return *this;
    }
    VmState& add(VmSubsection subsection);

private:
    std::string name_;
    std::uint32_t version_;
    std::vector<VmField> fields_;
    std::vector<VmSubsection> subsections_;
};

struct VmSubsection {
    VmState state;
    /// Whether the subsection is sent, given the structure. Thread of the save.
    bool (*needed)(const void* data) = nullptr;
};

// Here the subsection is complete, which a vector of them needs.
inline VmState::VmState(std::string name, std::uint32_t version) : name_(std::move(name)), version_(version) {}

inline VmState& VmState::add(VmSubsection subsection) {
    subsections_.push_back(std::move(subsection));
    return *this;
}

/// Builds a `VmState` from the members of `S`, which must be a standard-layout structure.
template <typename S>
class VmStateBuilder {
public:
    static_assert(std::is_standard_layout_v<S> && std::is_trivially_copyable_v<S>);

    VmStateBuilder(std::string name, std::uint32_t version) : state_(std::move(name), version) {}

    /// An integer or bool, or an array of them.
    template <typename M>
    VmStateBuilder& field(std::string name, M S::*member) {
        using Element = std::remove_all_extents_t<M>;
        // NOLINTNEXTLINE(bugprone-sizeof-expression): for a single value it is 1
        return typed<Element>(std::move(name), offset_of_member(member), sizeof(M) / sizeof(Element));
    }
    /// `std::array` of integers, sent element by element.
    template <typename T, std::size_t N>
    VmStateBuilder& field(std::string name, std::array<T, N> S::*member) {
        return typed<T>(std::move(name), offset_of_member(member), N);
    }
    /// Raw bytes.
    template <std::size_t N>
    VmStateBuilder& buffer(std::string name, std::array<std::uint8_t, N> S::*member) {
        state_.add(VmField{std::move(name), VmFieldKind::buffer, offset_of_member(member), N, 1, nullptr});
        return *this;
    }
    /// Up to `N` bytes, as many as `length` says.
    template <std::size_t N>
    VmStateBuilder& counted_buffer(std::string name, std::uint32_t S::*length, std::array<std::uint8_t, N> S::*member) {
        VmField field{std::move(name), VmFieldKind::counted_buffer, offset_of_member(member), N, 1, nullptr};
        field.length_offset = offset_of_member(length);
        state_.add(std::move(field));
        return *this;
    }
    /// A load goes on only if `holds`; the error is "`what`".
    VmStateBuilder& check(std::string what, bool (*holds)(const void*)) {
        VmField field{std::move(what), VmFieldKind::check, 0, 0, 1, nullptr};
        field.holds = holds;
        state_.add(std::move(field));
        return *this;
    }
    /// Zeros that stand where older layouts had something.
    VmStateBuilder& padding(std::size_t bytes) {
        state_.add(VmField{"unused", VmFieldKind::padding, 0, bytes, 1, nullptr});
        return *this;
    }
    /// A nested structure or an array of them.
    template <typename T>
    VmStateBuilder& structure(std::string name, T S::*member, VmState layout) {
        state_.add(VmField{std::move(name), VmFieldKind::structure, offset_of_member(member), sizeof(T), 1,
                           std::make_shared<const VmState>(std::move(layout))});
        return *this;
    }
    template <typename T, std::size_t N>
    VmStateBuilder& structures(std::string name, std::array<T, N> S::*member, VmState layout) {
        state_.add(VmField{std::move(name), VmFieldKind::structure, offset_of_member(member), sizeof(T), N,
                           std::make_shared<const VmState>(std::move(layout))});
        return *this;
    }
    /// A subsection over the same structure. `needed` may be null: then it is always sent.
    VmStateBuilder& subsection(VmState layout, bool (*needed)(const void*) = nullptr) {
        state_.add(VmSubsection{std::move(layout), needed});
        return *this;
    }
    VmState build() { return std::move(state_); }

private:
    template <typename M>
    static std::size_t offset_of_member(M S::*member) {
        static const S sample{};
        return static_cast<std::size_t>(reinterpret_cast<const char*>(&(sample.*member)) -
                                        reinterpret_cast<const char*>(&sample));
    }
    template <typename Element>
    VmStateBuilder& typed(std::string name, std::size_t offset, std::size_t count) {
        state_.add(VmField{std::move(name), kind_of<Element>(), offset, sizeof(Element), count, nullptr});
        return *this;
    }
    template <typename Element>
    static constexpr VmFieldKind kind_of() {
        if constexpr (std::is_same_v<Element, bool>) {
            return VmFieldKind::boolean;
        } else if constexpr (std::is_same_v<Element, std::int32_t>) {
            return VmFieldKind::i32;
        } else if constexpr (std::is_same_v<Element, std::int64_t>) {
            return VmFieldKind::i64;
        } else {
            static_assert(std::is_unsigned_v<Element>, "fields are unsigned, int32_t, int64_t or bool");
            constexpr VmFieldKind by_size[] = {VmFieldKind::u8, VmFieldKind::u16, VmFieldKind::u32, VmFieldKind::u64};
            return by_size[sizeof(Element) == 1 ? 0 : sizeof(Element) == 2 ? 1 : sizeof(Element) == 4 ? 2 : 3];
        }
    }

    VmState state_;
};

}  // namespace godwit
