// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace rondo {

class WriteArchive;
class ReadArchive;

namespace detail {

/// Whether ADL finds a serialise(archive, value) for T.
template <class T>
concept HasSerialise = requires(WriteArchive& out, ReadArchive& in, T& value) {
  serialise(out, value);
  serialise(in, value);
};

/// What holds an address of this process, which means nothing in another.
template <class T>
inline constexpr bool kPointsAway =
    (std::is_pointer_v<T> && !std::is_function_v<std::remove_pointer_t<T>>) ||
    std::is_null_pointer_v<T> || std::is_member_pointer_v<T> ||
    std::ranges::enable_borrowed_range<T> ||
    !std::is_same_v<std::unwrap_reference_t<T>, T>;

template <class T>
inline constexpr bool kIsArray = false;
template <class T, std::size_t N>
inline constexpr bool kIsArray<std::array<T, N>> = true;

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;

/// A value that is its bytes.
template <class T>
consteval bool is_plain() {
  if constexpr (HasSerialise<T> || kPointsAway<T> || kIsOptional<T>) {
    return false;
  } else if constexpr (kIsArray<T>) {
    return is_plain<typename T::value_type>();
  } else {
    return std::is_trivially_copyable_v<T>;
  }
}

/// pair, tuple, and the arrays that are not plain.
template <class T>
concept TupleLike = requires { std::tuple_size<T>::value; };

/// vector, list, map, set and their like.
template <class T>
concept Container =
    requires(T& container, const T& constant, typename T::value_type& value) {
      container.insert(container.end(), std::move(value));
      { constant.size() } -> std::convertible_to<std::size_t>;
      constant.begin();
      constant.end();
    };

/// A container's element as it can be read: a map's are pairs with const keys.
template <class T>
struct Element {
  using type = T;
};
template <class K, class V>
struct Element<std::pair<const K, V>> {
  using type = std::pair<K, V>;
};

template <class T>
inline constexpr bool kNotSerialisable = false;

}  // namespace detail

/// Values as bytes, for a process that is a copy of this one: what a
/// ProcessPool's jobs take and give.
///
/// What can be written, and read back: what is trivially copyable and holds no
/// pointers (a pointer to a function may be: the processes share one program);
/// std::string, std::pair, std::tuple, std::array, std::optional; standard
/// containers; and what has a serialise() of its own, for both directions:
///
///     struct Person { std::string name; int age = 0; };
///     template <class Archive>
///     void serialise(Archive& archive, Person& person) {
///       archive(person.name, person.age);
///     }
///
/// found in the namespace of the type, which then needs a default constructor.
/// When writing, it must not change the value. Of a struct that is trivially
/// copyable nobody can tell whether it holds pointers: see that it does not.
class WriteArchive {
 public:
  /// Appends each value. Throws std::bad_alloc.
  template <class... T>
  void operator()(const T&... values) {
    (write(values), ...);
  }

  /// What was written.
  const std::string& bytes() const noexcept { return bytes_; }
  /// The same, moved out.
  std::string take() && noexcept { return std::move(bytes_); }

 private:
  void write_bytes(const void* data, std::size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
  }
  void write_size(std::size_t size) { write(static_cast<std::uint64_t>(size)); }

  template <class T>
  void write(const T& value) {
    using namespace detail;  // NOLINT(google-build-using-namespace)
    static_assert(!kPointsAway<T>,
                  "a pointer, a view or a reference means nothing in another "
                  "process: hand over the value itself");
    if constexpr (HasSerialise<T>) {
      serialise(*this, const_cast<T&>(value));
    } else if constexpr (std::is_same_v<T, std::string>) {
      write_size(value.size());
      write_bytes(value.data(), value.size());
    } else if constexpr (is_plain<T>() && std::is_empty_v<T>) {
      write_bytes("", sizeof value);  // a lambda without captures: no bytes
    } else if constexpr (is_plain<T>()) {
      write_bytes(&value, sizeof value);
    } else if constexpr (kIsOptional<T>) {
      write(value.has_value());
      if (value.has_value()) write(*value);
    } else if constexpr (TupleLike<T>) {
      std::apply([this](const auto&... parts) { (this->write(parts), ...); },
                 value);
    } else if constexpr (Container<T>) {
      write_elements(value);
    } else {
      static_assert(kNotSerialisable<T>,
                    "this type cannot go to another process: give it a "
                    "serialise(archive, value), see WriteArchive");
    }
  }

  template <class C>
  void write_elements(const C& container) {
    using T = typename C::value_type;
    write_size(container.size());
    if constexpr (std::is_same_v<C, std::vector<T>> && detail::is_plain<T>() &&
                  !std::is_same_v<T, bool>) {
      write_bytes(container.data(), container.size() * sizeof(T));
    } else {
      for (const T& element : container) write(element);
    }
  }

  std::string bytes_;
};

/// Reads what a WriteArchive wrote: the same types in the same order.
class ReadArchive {
 public:
  /// Reads `bytes`, which outlive it.
  explicit ReadArchive(std::string_view bytes) noexcept : rest_(bytes) {}

  /// Reads into each value.
  /// Throws std::out_of_range if there is less than that.
  template <class... T>
  void operator()(T&... values) {
    ((values = read<T>()), ...);
  }

  /// Reads a T. Throws as above.
  template <class T>
  T read() {
    using namespace detail;  // NOLINT(google-build-using-namespace)
    if constexpr (HasSerialise<T>) {
      T value{};
      serialise(*this, value);
      return value;
    } else if constexpr (std::is_same_v<T, std::string>) {
      return std::string(take(read_size()));
    } else if constexpr (is_plain<T>()) {
      std::array<std::byte, sizeof(T)> bytes;
      // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): sized
      std::memcpy(bytes.data(), take(sizeof(T)).data(), sizeof(T));
      return std::bit_cast<T>(bytes);
    } else if constexpr (kIsOptional<T>) {
      if (!read<bool>()) return std::nullopt;
      return T(read<typename T::value_type>());
    } else if constexpr (TupleLike<T>) {
      return read_parts<T>(
          std::make_index_sequence<std::tuple_size<T>::value>());
    } else if constexpr (Container<T>) {
      return read_elements<T>();
    } else {
      static_assert(kNotSerialisable<T>,
                    "this type cannot come from another process: give it a "
                    "serialise(archive, value), see WriteArchive");
    }
  }

  /// Whether all has been read.
  bool at_end() const noexcept { return rest_.empty(); }

 private:
  std::string_view take(std::size_t size) {
    if (size > rest_.size()) {
      throw std::out_of_range("ReadArchive: there is less than was asked for");
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::size_t read_size() {
    return static_cast<std::size_t>(read<std::uint64_t>());
  }

  // Braces: the parts are read from left to right.
  template <class T, std::size_t... I>
  T read_parts(std::index_sequence<I...>) {
    return T{read<std::remove_const_t<std::tuple_element_t<I, T>>>()...};
  }

  template <class C>
  C read_elements() {
    using T = typename C::value_type;
    C container;
    std::size_t size = read_size();
    if constexpr (std::is_same_v<C, std::vector<T>> && detail::is_plain<T>() &&
                  std::is_default_constructible_v<T> &&
                  !std::is_same_v<T, bool>) {
      if (size > rest_.size() / sizeof(T)) take(rest_.size() + 1);
      const std::string_view bytes = take(size * sizeof(T));
      container.resize(size);
      if (size > 0) std::memcpy(container.data(), bytes.data(), bytes.size());
    } else {
      for (; size > 0; --size) {
        container.insert(container.end(),
                         read<typename detail::Element<T>::type>());
      }
    }
    return container;
  }

  std::string_view rest_;
};

}  // namespace rondo
