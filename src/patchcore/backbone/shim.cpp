// oneDNN's convolutions, in floats and in 8-bit integers, with what follows them in the same pass: operators of libtorch that its
// C++ interface does not declare, so that they are looked up by name. See shim.rs, the only caller.

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/List.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>
#include <c10/core/Scalar.h>

#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <string_view>
#include <utility>

namespace {

using at::IntArrayRef;
using at::Tensor;
using Scalars = c10::List<std::optional<at::Scalar>>;
using Text = std::optional<std::string_view>;

// activation(convolution(input) + bias)
using Pointwise = Tensor(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias, IntArrayRef padding,
                         IntArrayRef stride, IntArrayRef dilation, int64_t groups, std::string_view activation, Scalars limits,
                         Text algorithm);
// other = activation(convolution(input) + bias + other)
using PointwiseAdd = Tensor&(Tensor& other, const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias,
                             IntArrayRef padding, IntArrayRef stride, IntArrayRef dilation, int64_t groups,
                             std::string_view operation, std::optional<at::Scalar> alpha, Text activation, Scalars limits,
                             Text algorithm);

// Throws when this libtorch has no such operator, or one with other arguments.
template <class Signature>
c10::TypedOperatorHandle<Signature> find(const char* name, const char* overload) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Signature>();
}

enum Activation : int32_t { None, Relu, Relu6 };

Tensor convolve(const Tensor& input, const Tensor& weight, const Tensor& bias, Tensor* other, IntArrayRef padding, int64_t stride,
                int64_t groups, int32_t activation) {
  static const auto pointwise = find<Pointwise>("mkldnn::_convolution_pointwise", "");
  static const auto pointwise_add = find<PointwiseAdd>("mkldnn::_convolution_pointwise_", "binary");
  const int64_t strides[2] = {stride, stride};
  const int64_t dilation[2] = {1, 1};
  if (other == nullptr) {
    Scalars limits;
    if (activation == Relu6) {
      limits.push_back(at::Scalar(0.0));
      limits.push_back(at::Scalar(6.0));
    }
    const char* name = activation == None ? "none" : activation == Relu ? "relu" : "hardtanh";
    return pointwise.call(input, weight, bias, padding, strides, dilation, groups, name, limits, "");
  }
  // This operator knows no other activation.
  TORCH_CHECK(activation != Relu6, "relu6 cannot follow an addition");
  const Text name = activation == Relu ? Text("relu") : std::nullopt;
  return pointwise_add.call(*other, input, weight, bias, padding, strides, dilation, groups, "add", 1.0, name, Scalars(), "");
}

// Calls the operator, which gives one tensor; throws when this libtorch has no such operator.
template <class... Arguments>
Tensor call(const char* name, const char* overload, Arguments&&... arguments) {
  torch::jit::Stack stack;
  torch::jit::push(stack, std::forward<Arguments>(arguments)...);
  c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).callBoxed(&stack);
  return torch::jit::pop(stack).toTensor();
}

c10::IValue integers(IntArrayRef values) { return c10::List<int64_t>(values); }

void tell(const char* text, char* error, size_t capacity) {
  std::strncpy(error, text, capacity - 1);
  error[capacity - 1] = '\0';
}

// What `make` gives, as a tensor that the caller owns; null on failure, with the reason in `error`.
template <class Make>
Tensor* made(char* error, size_t capacity, Make make) noexcept {
  try {
    return new Tensor(make());
  } catch (const std::exception& e) {
    tell(e.what(), error, capacity);
  } catch (...) {
    tell("unknown C++ exception", error, capacity);
  }
  return nullptr;
}

}  // namespace

// All of these give a tensor that the caller owns; null on failure, with the reason in `error` (`capacity` bytes, above 0).

// `padding` has two values, rows and columns. With `other` the result is written over it, and the returned tensor shares its memory.
extern "C" Tensor* patchcored_convolve(const Tensor* input, const Tensor* weight, const Tensor* bias, Tensor* other,
                                       const int64_t* padding, int64_t stride, int64_t groups, int32_t activation, char* error,
                                       size_t capacity) noexcept {
  return made(error, capacity, [&] {
    return convolve(*input, *weight, *bias, other, IntArrayRef(padding, 2), stride, groups, activation);
  });
}

// An int8 weight, with a step for each output channel, in the order that oneDNN takes for an input of `input_size` (four values).
extern "C" Tensor* patchcored_pack_int8(const Tensor* weight, const Tensor* steps, double input_step, int64_t input_zero,
                                        const int64_t* padding, int64_t stride, int64_t groups, const int64_t* input_size,
                                        char* error, size_t capacity) noexcept {
  return made(error, capacity, [&] {
    return call("onednn::qconv_prepack", "", *weight, *steps, input_step, input_zero, integers({stride, stride}),
                integers({padding, 2}), integers({1, 1}), groups, integers({input_size, 4}));
  });
}

// The same as `Int8Call` in shim.rs.
struct Int8Call {
  const Tensor* input;
  const Tensor* weight;
  const Tensor* weight_steps;
  const Tensor* weight_zeros;
  const Tensor* bias;
  double input_step;
  int64_t input_zero;
  double output_step;
  int64_t output_zero;
  int64_t padding[2];
  int64_t stride;
  int64_t groups;
  bool relu;
};

// activation(convolution(input) + bias), in uint8. With `shortcut` (uint8) it is added before the activation and written over.
extern "C" Tensor* patchcored_convolve_int8(const Int8Call* call_, Tensor* shortcut, double shortcut_step, int64_t shortcut_zero,
                                            char* error, size_t capacity) noexcept {
  return made(error, capacity, [&] {
    const Int8Call& c = *call_;
    const auto strides = integers({c.stride, c.stride}), padding = integers({c.padding, 2}), dilation = integers({1, 1});
    const auto kind = static_cast<int64_t>(at::kByte);
    const c10::IValue activation = c.relu ? c10::IValue("relu") : c10::IValue("none");
    if (shortcut == nullptr) {
      return call("onednn::qconv2d_pointwise", "", *c.input, c.input_step, c.input_zero, *c.weight, *c.weight_steps,
                  *c.weight_zeros, *c.bias, strides, padding, dilation, c.groups, c.output_step, c.output_zero, kind, activation,
                  Scalars(), "");
    }
    return call("onednn::qconv2d_pointwise", "binary", *c.input, c.input_step, c.input_zero, *c.weight, *c.weight_steps,
                *c.weight_zeros, *shortcut, *c.bias, strides, padding, dilation, c.groups, c.output_step, c.output_zero, kind,
                shortcut_step, shortcut_zero, "sum", 1.0, activation, Scalars(), "");
  });
}

// The largest of each window of 3x3, at every second row and column, of a uint8 map.
extern "C" Tensor* patchcored_max_pool_int8(const Tensor* input, char* error, size_t capacity) noexcept {
  return made(error, capacity, [&] {
    return call("quantized::max_pool2d", "", *input, integers({3, 3}), integers({2, 2}), integers({1, 1}), integers({1, 1}), false);
  });
}
