// Stands in for libcudart.so.13 and libcupti.so.13 of NVIDIA, so that packages need not hold these. PyTorch's libtorch_cpu.so does not start
// without the two. (patchelf takes their names out of it, but not the versions of their symbols, and then the loader stops.) Only PyTorch's
// profiler calls them, which patchcored never starts. Each function answers as on a machine without a GPU.
// `stage` compiles this once for each library, and sees to it that no function is missing.

#ifdef LIBCUDART
enum { NO_DEVICE = 100 }; // cudaErrorNoDevice
#define FUNCTION(name) int name(void) { return NO_DEVICE; }
FUNCTION(cudaDeviceSynchronize)
FUNCTION(cudaDriverGetVersion)
FUNCTION(cudaGetDeviceCount)
FUNCTION(cudaGetDeviceProperties)
FUNCTION(cudaRuntimeGetVersion)
const char *cudaGetErrorString(int error) { return error == NO_DEVICE ? "this package has no CUDA" : "unknown error"; }
#endif

#ifdef LIBCUPTI
enum { NOT_INITIALIZED = 15 }; // CUPTI_ERROR_NOT_INITIALIZED
#define FUNCTION(name) int name(void) { return NOT_INITIALIZED; }
FUNCTION(cuptiActivityDisable)
FUNCTION(cuptiActivityEnable)
FUNCTION(cuptiActivityEnableCudaEventDeviceTimestamps)
FUNCTION(cuptiActivityEnableDriverApi)
FUNCTION(cuptiActivityEnableRuntimeApi)
FUNCTION(cuptiActivityFlushAll)
FUNCTION(cuptiActivityGetNextRecord)
FUNCTION(cuptiActivityGetNumDroppedRecords)
FUNCTION(cuptiActivityPopExternalCorrelationId)
FUNCTION(cuptiActivityPushExternalCorrelationId)
FUNCTION(cuptiActivityRegisterCallbacks)
FUNCTION(cuptiActivityRegisterTimestampCallback)
FUNCTION(cuptiActivitySetAttribute)
FUNCTION(cuptiEnableCallback)
FUNCTION(cuptiEnableDomain)
FUNCTION(cuptiFinalize)
FUNCTION(cuptiGetVersion)
FUNCTION(cuptiSubscribe)
FUNCTION(cuptiUnsubscribe)
static int answer(const char **text) {
    *text = "this package has no CUDA";
    return NOT_INITIALIZED;
}
int cuptiGetResultString(int result, const char **text) { return (void)result, answer(text); }
int cuptiGetCallbackName(int domain, unsigned id, const char **name) { return (void)domain, (void)id, answer(name); }
#endif
