// oneDNN's convolutions with what follows them in the same pass: operators of libtorch that its C++ interface does not
// declare, so that they are looked up by name. See shim.rs, the only caller.

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/List.h>
#include <c10/core/Scalar.h>

#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <string_view>

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

void tell(const char* text, char* error, size_t capacity) {
  std::strncpy(error, text, capacity - 1);
  error[capacity - 1] = '\0';
}

}  // namespace

// Gives a tensor that the caller owns; null on failure, with the reason in `error` (`capacity` bytes, above 0). `padding` has
// two values, rows and columns. With `other` the result is written over it, and the returned tensor shares its memory.
extern "C" Tensor* patchcored_convolve(const Tensor* input, const Tensor* weight, const Tensor* bias, Tensor* other,
                                       const int64_t* padding, int64_t stride, int64_t groups, int32_t activation, char* error,
                                       size_t capacity) noexcept {
  try {
    return new Tensor(convolve(*input, *weight, *bias, other, IntArrayRef(padding, 2), stride, groups, activation));
  } catch (const std::exception& e) {
    tell(e.what(), error, capacity);
  } catch (...) {
    tell("unknown C++ exception", error, capacity);
  }
  return nullptr;
}
